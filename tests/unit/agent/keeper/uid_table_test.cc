#include "agent/keeper/uid_table.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "tests/support/temp_dir.h"

namespace appsup::keeper {
namespace {

TEST_CASE("uid table: an app keeps its id, and no other app gets it") {
  testing::TempDir dir;
  {
    UidTable table;
    REQUIRE(table.Open(dir.File("uids"), 100, 102).ok());
    CHECK(*table.Get("a") == 100);
    CHECK(*table.Get("b") == 101);
    CHECK(*table.Get("a") == 100);
    CHECK(table.Sync().ok());
  }
  UidTable table;
  REQUIRE(table.Open(dir.File("uids"), 100, 102).ok());
  CHECK(*table.Get("b") == 101);
  CHECK(*table.Get("c") == 102);
  auto none = table.Get("d");
  CHECK(none.status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(*table.Get("a") == 100);
}

TEST_CASE("uid table: a torn last line was never acted upon") {
  testing::TempDir dir;
  std::ofstream(dir.File("uids")) << "100 a\n101 b";
  UidTable table;
  REQUIRE(table.Open(dir.File("uids"), 100, 200).ok());
  CHECK(*table.Get("a") == 100);
  CHECK(*table.Get("c") == 101);
  std::ifstream file(dir.File("uids"));
  std::ostringstream text;
  text << file.rdbuf();
  CHECK(text.str() == "100 a\n101 c\n");
}

TEST_CASE("uid table: a line that makes no sense is not guessed at") {
  testing::TempDir dir;
  std::ofstream(dir.File("uids")) << "100 a\nhello\n";
  UidTable table;
  CHECK(table.Open(dir.File("uids"), 100, 200).code() == absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace appsup::keeper
