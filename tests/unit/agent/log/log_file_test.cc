#include "agent/log/log_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

struct Log {
  testing::TempDir dir;
  std::string path = dir.File("1.stdout");

  explicit Log(const std::string& text = "") { Write(text); }
  void Write(const std::string& text) { std::ofstream(path, std::ios::app) << text; }
  LogFile Open() const { return LogFile::Open(path).value(); }
  // As the keeper frees the head.
  void Punch(int64_t bytes) {
    const int fd = open(path.c_str(), O_WRONLY);
    REQUIRE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes) == 0);
    close(fd);
  }
};

TEST_CASE("log file: only whole lines are read, unless asked otherwise") {
  Log log("one\ntwo\nthr");
  const LogFile file = log.Open();
  auto piece = file.Read(0, 100, 64, false);
  CHECK(piece->data == "one\ntwo\n");
  CHECK(piece->partial);
  piece = file.Read(8, 100, 64, false);
  CHECK(piece->data == "");
  CHECK(piece->partial);
  piece = file.Read(0, 100, 64, true);
  CHECK(piece->data == "one\ntwo\nthr");
  CHECK_FALSE(piece->partial);
  piece = file.Read(0, 6, 64, true);
  CHECK(piece->data == "one\n");
  CHECK_FALSE(piece->partial);
  piece = file.Read(11, 100, 64, true);
  CHECK(piece->data == "");
  CHECK_FALSE(piece->partial);
}

TEST_CASE("log file: a line that is too long comes in pieces") {
  Log log(std::string(10, 'x') + "\nend\n");
  const LogFile file = log.Open();
  CHECK(file.Read(0, 100, 8, false)->data == "xxxxxxxxxx\nend\n");  // It is whole, and fits.
  CHECK(file.Read(0, 4, 8, false)->data == "xxxx");
  Log open_line(std::string(10, 'x'));
  CHECK(open_line.Open().Read(0, 100, 8, false)->data == "xxxxxxxx");
  CHECK(open_line.Open().Read(8, 100, 8, false)->data == "");
}

TEST_CASE("log file: a freed head is skipped up to the next whole line") {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "line " + std::to_string(i) + "\n";
  Log log(text);
  log.Punch(8192);
  const LogFile file = log.Open();
  REQUIRE(file.FirstData() == 8192);
  const size_t first_line = text.find('\n', 8192) + 1;
  auto piece = file.Read(0, 4096, 1024, false);
  CHECK(piece->offset == static_cast<int64_t>(first_line));
  CHECK(piece->data == text.substr(first_line, piece->data.size()));
  CHECK(piece->data.back() == '\n');
  // Behind the hole nothing is moved.
  CHECK(file.Read(static_cast<int64_t>(first_line), 4096, 1024, false)->offset ==
        static_cast<int64_t>(first_line));
  int found = 0;
  CHECK(file.LinesBack(100'000, &found).value() == static_cast<int64_t>(first_line));
}

TEST_CASE("log file: a log that was freed whole, or started over, is read from what there is") {
  Log log(std::string(8192, 'x'));
  log.Punch(8192);
  LogFile file = log.Open();
  CHECK(file.FirstData() == 8192);
  CHECK(file.Read(0, 100, 64, true)->offset == 8192);
  CHECK(file.Read(0, 100, 64, true)->data == "");
  Log shorter("new\n");
  CHECK(shorter.Open().Read(9000, 100, 64, false)->data == "new\n");
}

TEST_CASE("log file: lines are counted from the end") {
  const std::vector<std::tuple<std::string, int, std::string, int>> cases = {
      {"a\nb\nc\n", 1, "c\n", 1},
      {"a\nb\nc\n", 2, "b\nc\n", 2},
      {"a\nb\nc\n", 3, "a\nb\nc\n", 3},
      {"a\nb\nc\n", 9, "a\nb\nc\n", 3},
      {"a\nb\nc", 1, "c", 1},
      {"a\nb\nc", 2, "b\nc", 2},
      {"\n\n\n", 2, "\n\n", 2},
      {"", 5, "", 0},
      {"x", 5, "x", 1},
  };
  for (const auto& [text, lines, expected, expected_found] : cases) {
    INFO(text << " " << lines);
    Log log(text);
    int found = -1;
    const int64_t offset = log.Open().LinesBack(lines, &found).value();
    CHECK(text.substr(static_cast<size_t>(offset)) == expected);
    CHECK(found == expected_found);
  }
}

TEST_CASE("log file: lines are counted over many blocks") {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += std::to_string(i) + "\n";
  Log log(text);
  int found = 0;
  const int64_t offset = log.Open().LinesBack(40'000, &found).value();
  CHECK(found == 40'000);
  CHECK(text.substr(static_cast<size_t>(offset), 6) == "10000\n");
}

TEST_CASE("log file: a place within a line leads to its beginning") {
  Log log("one\ntwo\nthree\n");
  const LogFile file = log.Open();
  for (int64_t offset : {4, 5, 7}) CHECK(file.LineStart(offset).value() == 4);
  CHECK(file.LineStart(8).value() == 8);
  CHECK(file.LineStart(0).value() == 0);
  CHECK(file.LineStart(14).value() == 14);
  CHECK(file.LineStart(99).value() == 14);
}

TEST_CASE("log file: a symbolic link and a folder are refused") {
  testing::TempDir dir;
  REQUIRE(symlink("/etc/passwd", dir.File("1.stdout").c_str()) == 0);
  CHECK_FALSE(LogFile::Open(dir.File("1.stdout")).ok());
  CHECK_FALSE(LogFile::Open(dir.path().string()).ok());
  CHECK(absl::IsNotFound(LogFile::Open(dir.File("2.stdout")).status()));
}

TEST_CASE("tail lines: the last lines, cut and cleaned") {
  CHECK(TailLines("a\nb\r\nc", 2, 10) == std::vector<std::string>{"b", "c"});
  CHECK(TailLines("a\n\nc\n", 9, 10) == std::vector<std::string>{"a", "", "c"});
  CHECK(TailLines("", 9, 10).empty());
  CHECK(TailLines("abcdef\n", 1, 3) == std::vector<std::string>{"ab\xE2\x80\xA6"});
}

}  // namespace
}  // namespace appsup::agent
