#include "agent/keeper/record_file.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/temp_dir.h"

namespace appsup::keeper {
namespace {

std::map<int, std::string> Reread(const std::string& path) {
  RecordFile file;
  std::vector<std::pair<int, std::string>> found;
  REQUIRE(file.Open(path, &found).ok());
  return {found.begin(), found.end()};
}

TEST_CASE("record file: what was written last is found again") {
  testing::TempDir dir;
  std::string path = dir.File("records");
  RecordFile file;
  std::vector<std::pair<int, std::string>> found;
  REQUIRE(file.Open(path, &found).ok());
  CHECK(found.empty());
  int a = -1, b = -1, c = -1;
  REQUIRE(file.Write("first", &a).ok());
  REQUIRE(file.Write(std::string(RecordFile::kMaxRecord, 'x'), &b).ok());
  REQUIRE(file.Write("third", &c).ok());
  REQUIRE(file.Write("first, again", &a).ok());
  file.Clear(c);
  CHECK(Reread(path) == std::map<int, std::string>{{a, "first, again"},
                                                   {b, std::string(RecordFile::kMaxRecord, 'x')}});

  int reused = -1;
  REQUIRE(file.Write("fourth", &reused).ok());
  CHECK(reused == c);
  CHECK(Reread(path).at(c) == "fourth");
}

TEST_CASE("record file: a record that is too long changes nothing") {
  testing::TempDir dir;
  RecordFile file;
  std::vector<std::pair<int, std::string>> found;
  REQUIRE(file.Open(dir.File("records"), &found).ok());
  int slot = -1;
  absl::Status status = file.Write(std::string(RecordFile::kMaxRecord + 1, 'x'), &slot);
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(slot == -1);
  CHECK(Reread(dir.File("records")).empty());
}

TEST_CASE("record file: a torn record reads as none, the others as they are") {
  testing::TempDir dir;
  std::string path = dir.File("records");
  {
    RecordFile file;
    std::vector<std::pair<int, std::string>> found;
    REQUIRE(file.Open(path, &found).ok());
    int a = -1, b = -1;
    REQUIRE(file.Write("whole", &a).ok());
    REQUIRE(file.Write("to be torn", &b).ok());
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 3);
  CHECK(Reread(path) == std::map<int, std::string>{{1, "whole"}});
}

TEST_CASE("record file: a file of another form is left alone") {
  testing::TempDir dir;
  std::ofstream(dir.File("records")) << "something else entirely, and long enough for a header";
  RecordFile file;
  std::vector<std::pair<int, std::string>> found;
  CHECK(file.Open(dir.File("records"), &found).code() == absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace appsup::keeper
