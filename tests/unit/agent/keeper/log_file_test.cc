#include "agent/keeper/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kMilli = 1'000'000;
constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kQuiet = 100 * kMilli;

TEST_CASE("log file: the faster it grows, the sooner it is looked at again") {
  CHECK(LookPause(80 * kMiB, 0, kQuiet, kQuiet) == kQuiet);
  CHECK(LookPause(80 * kMiB, kMiB, kQuiet, kQuiet) == kQuiet);
  // 200 MiB a second: an eighth of the bound in 50 ms.
  CHECK(LookPause(80 * kMiB, 20 * kMiB, kQuiet, kQuiet) == 50 * kMilli);
  CHECK(LookPause(80 * kMiB, 2000 * kMiB, kQuiet, kQuiet) == 20 * kMilli);
  CHECK(LookPause(80 * kMiB, 1, 0, kQuiet) == 20 * kMilli);
}

TEST_CASE("log file: many quiet logs are looked at less often") {
  CHECK(QuietPause(0) == 100 * kMilli);
  CHECK(QuietPause(400) == 100 * kMilli);
  CHECK(QuietPause(2000) == 500 * kMilli);
  CHECK(QuietPause(1'000'000) == 1000 * kMilli);
}

TEST_CASE("log file: the head beyond the bound becomes a hole, and the end stays") {
  testing::TempDir dir;
  const std::string path = dir.File("log");
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const std::string piece(4 * kMiB, 'x');
  const int fd = file.get();
  LogFile log(std::move(file), kMiB);
  CHECK(log.next_look() == 0);
  int64_t now = 1000 * kMilli;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(write(fd, piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()));
    REQUIRE(log.Bound(now, kQuiet).ok());
    CHECK(log.next_look() == now + 20 * kMilli);
    now = log.next_look();
    struct stat info;
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK(info.st_size == (i + 1) * 4 * kMiB);
    CHECK(info.st_blocks * 512 <= kMiB + 8192);
  }
  REQUIRE(log.Bound(now, kQuiet).ok());
  CHECK(log.next_look() == now + kQuiet);
}

}  // namespace
}  // namespace appsup::keeper
