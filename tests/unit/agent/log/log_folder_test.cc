#include "agent/log/log_folder.h"

#include <sys/stat.h>
#include <utime.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "common/clock.h"
#include "tests/support/temp_dir.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::LOG_STREAM_STDERR;
using appsupervisor::v1::LOG_STREAM_STDOUT;

struct Fixture {
  testing::TempDir dir;
  LogFolderOptions options{.log_dir = dir.path().string()};
  absl::Time now = SystemClock().Now().wall;

  LogFolder Folder() const { return LogFolder(options); }
  void Put(const std::string& uid, const std::string& name, size_t bytes = 1) {
    std::filesystem::create_directories(dir.path() / uid);
    std::ofstream(dir.path() / uid / name) << std::string(bytes, 'x');
  }
  bool Has(const std::string& path) const { return std::filesystem::exists(dir.path() / path); }
};

TEST_CASE("log folder: attempts are listed by number, other files are not") {
  Fixture f;
  for (const char* name : {"10.stdout", "9.stdout", "9.stderr", "9.stdout.index", "x.stdout",
                           "removed", "11.stdout.tmp", "-1.stdout", "012.stdout"}) {
    f.Put("u-1", name);
  }
  CHECK(f.Folder().Attempts("u-1", LOG_STREAM_STDOUT) == std::vector<int64_t>{9, 10});
  CHECK(f.Folder().Attempts("u-1", LOG_STREAM_STDERR) == std::vector<int64_t>{9});
  CHECK(f.Folder().Attempts("u-2", LOG_STREAM_STDOUT).empty());
}

TEST_CASE("log folder: the oldest attempts go first, live and newest ones stay") {
  Fixture f;
  f.options.max_attempts = 2;
  for (int i = 1; i <= 5; ++i) {
    for (const char* suffix : {".stdout", ".stderr", ".stdout.index"}) {
      f.Put("u", std::to_string(i) + suffix);
    }
  }
  f.Folder().Prune("u", {2});
  CHECK(f.Folder().Attempts("u", LOG_STREAM_STDOUT) == std::vector<int64_t>{2, 5});
  CHECK(f.Folder().Attempts("u", LOG_STREAM_STDERR) == std::vector<int64_t>{2, 5});
  CHECK_FALSE(f.Has("u/1.stdout.index"));
  CHECK(f.Has("u/5.stdout.index"));
}

TEST_CASE("log folder: attempts go until the rest fits into the bytes of an instance") {
  Fixture f;
  f.options.max_instance_bytes = 250'000;
  for (int i = 1; i <= 4; ++i) f.Put("u", std::to_string(i) + ".stdout", 100'000);
  f.Folder().Prune("u", {});
  CHECK(f.Folder().Attempts("u", LOG_STREAM_STDOUT) == std::vector<int64_t>{3, 4});
}

TEST_CASE("log folder: a removed instance keeps its logs for its last hours only") {
  Fixture f;
  f.Put("held", "1.stdout");
  f.Put("gone", "1.stdout");
  f.Put("orphan", "1.stdout");
  f.Put("not a uid", "1.stdout");
  f.Folder().MarkRemoved("gone");
  f.Folder().Sweep(f.now, {"held"});
  CHECK(f.Has("orphan/removed"));
  f.Folder().Sweep(f.now + absl::Hours(23), {"held"});
  for (const char* uid : {"held", "gone", "orphan"}) CHECK(f.Has(uid));
  f.Folder().Sweep(f.now + absl::Hours(25), {"held"});
  CHECK(f.Has("held/1.stdout"));
  CHECK(f.Has("not a uid/1.stdout"));
  CHECK_FALSE(f.Has("gone"));
  CHECK_FALSE(f.Has("orphan"));
}

TEST_CASE("log folder: of too many removed instances the oldest go first") {
  Fixture f;
  f.options.max_removed_instances = 2;
  for (int i = 0; i < 5; ++i) {
    const std::string uid = "u" + std::to_string(i);
    f.Put(uid, "1.stdout");
    f.Folder().MarkRemoved(uid);
    // u0 is the newest.
    const utimbuf times{absl::ToTimeT(f.now) - i * 60, absl::ToTimeT(f.now) - i * 60};
    REQUIRE(utime((f.dir.path() / uid / "removed").c_str(), &times) == 0);
  }
  f.Folder().Sweep(f.now, {});
  CHECK(f.Has("u0"));
  CHECK(f.Has("u1"));
  for (const char* uid : {"u2", "u3", "u4"}) CHECK_FALSE(f.Has(uid));
}

TEST_CASE("log folder: a uid that leads elsewhere is none") {
  CHECK(LogFolder::IsUid("0b6e8a52-52e7-4f9b-9d1c-0e9d3f6a7c11"));
  for (const char* uid : {"", ".", "..", "a/b", "../x", "a b"}) CHECK_FALSE(LogFolder::IsUid(uid));
  CHECK_FALSE(LogFolder::IsUid(std::string(65, 'a')));
}

}  // namespace
}  // namespace appsup::agent
