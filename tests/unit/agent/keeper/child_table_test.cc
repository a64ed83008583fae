#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agent/keeper/child.h"
#include "agent/keeper/record_file.h"
#include "tests/support/temp_dir.h"

namespace appsup::keeper {
namespace {

std::string Record(const std::string& uid, int64_t pid) {
  pb::ProcessRecord record;
  record.mutable_id()->set_instance_uid(uid);
  record.mutable_id()->set_kind(pb::PROCESS_KIND_MAIN);
  record.mutable_id()->set_attempt(1);
  record.set_pid(pid);
  return record.SerializeAsString();
}

TEST_CASE("child table: of two records of one process the first is taken, the other is dropped") {
  testing::TempDir dir;
  const std::string path = dir.File("processes");
  {
    RecordFile file;
    std::vector<std::pair<int, std::string>> found;
    REQUIRE(file.Open(path, &found).ok());
    for (const std::string& text :
         {Record("a", 5), Record("b", 6), Record("a", 7), std::string("?")}) {
      int slot = -1;
      REQUIRE(file.Write(text, &slot).ok());
    }
  }
  for (int round = 0; round < 2; ++round) {  // What is dropped is dropped from the file as well.
    ChildTable table;
    std::vector<std::pair<int, pb::ProcessRecord>> left;
    REQUIRE(table.Open(path, &left).ok());
    REQUIRE(left.size() == 2);
    CHECK(left[0].second.pid() == 5);
    CHECK(left[1].second.pid() == 6);
    if (round == 0) continue;
    std::vector<std::pair<int, std::string>> found;
    RecordFile file;
    REQUIRE(file.Open(path, &found).ok());
    CHECK(found.size() == 2);
  }
}

}  // namespace
}  // namespace appsup::keeper
