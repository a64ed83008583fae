#include "agent/log/log_index.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(1'000'000 + seconds); }

int64_t FileSize(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_size;
}

TEST_CASE("log index: a time leads to the newest place that is not too late") {
  testing::TempDir dir;
  LogIndex index(dir.File("1.stdout.index"));
  CHECK(index.Find(At(5)).value() == 0);
  REQUIRE(index.Append(At(10), 0, 0).ok());
  REQUIRE(index.Append(At(20), 100, 0).ok());
  REQUIRE(index.Append(At(30), 250, 0).ok());
  CHECK(index.Find(At(5)).value() == 0);
  CHECK(index.Find(At(10)).value() == 0);
  CHECK(index.Find(At(19)).value() == 0);
  CHECK(index.Find(At(20)).value() == 100);
  CHECK(index.Find(At(29)).value() == 100);
  CHECK(index.Find(At(999)).value() == 250);
}

TEST_CASE("log index: a clock that was set back makes it find too much, never too little") {
  testing::TempDir dir;
  LogIndex index(dir.File("i"));
  REQUIRE(index.Append(At(100), 10, 0).ok());
  REQUIRE(index.Append(At(200), 20, 0).ok());
  REQUIRE(index.Append(At(50), 30, 0).ok());
  CHECK(index.Find(At(60)).value() == 0);
  CHECK(index.Find(At(150)).value() == 10);
}

TEST_CASE("log index: a record that a crash cut off is dropped") {
  testing::TempDir dir;
  const std::string path = dir.File("i");
  LogIndex index(path);
  REQUIRE(index.Append(At(1), 10, 0).ok());
  REQUIRE(index.Append(At(2), 20, 0).ok());
  REQUIRE(truncate(path.c_str(), 21) == 0);
  CHECK(index.Find(At(9)).value() == 10);
  REQUIRE(index.Append(At(3), 30, 0).ok());
  CHECK(index.Find(At(9)).value() == 30);
  CHECK(FileSize(path) == 32);
}

TEST_CASE("log index: it stays bounded and keeps a place for every age") {
  testing::TempDir dir;
  const std::string path = dir.File("i");
  LogIndex index(path);
  for (int i = 0; i < 20'000; ++i) REQUIRE(index.Append(At(i), i * 100, 0).ok());
  CHECK(FileSize(path) < LogIndex::kMaxEntries * 16);
  CHECK(index.Find(At(19'999)).value() == 1'999'900);
  for (int i : {100, 5'000, 12'000, 18'000}) {
    const int64_t offset = index.Find(At(i)).value();
    CHECK(offset <= i * 100);
    CHECK(offset >= i * 100 - 2'000 * 100);
  }
}

TEST_CASE("log index: entries of a freed head go first") {
  testing::TempDir dir;
  LogIndex index(dir.File("i"));
  const int count = LogIndex::kMaxEntries;
  const int64_t freed = (count - 100) * 10;
  for (int i = 1; i <= count; ++i) REQUIRE(index.Append(At(i), i * 10, freed).ok());
  for (int i = count - 100; i < count; ++i) CHECK(index.Find(At(i)).value() == i * 10);
  CHECK(index.Find(At(50)).value() == 0);
}

}  // namespace
}  // namespace appsup::agent
