#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "agent/keeper/folder.h"
#include "tests/support/temp_dir.h"

namespace appsup::keeper {
namespace {

// A process with few files to open.
class FewFiles {
 public:
  FewFiles() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = 128;
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

struct Fixture {
  Fixture() {
    policy.roots = {dir.path()};
    policy.agent = {geteuid(), getegid()};
    mkdir(tree.c_str(), 0700);
  }

  // `depth` folders, one in the other, below `folder`; the innermost is left open.
  UniqueFd Nest(const std::string& folder, int depth) {
    UniqueFd inner(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (int i = 0; i < depth; ++i) {
      REQUIRE(mkdirat(inner.get(), "d", 0700) == 0);
      inner = UniqueFd(openat(inner.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      REQUIRE(inner.valid());
    }
    return inner;
  }

  bool Exists(const std::string& path) const {
    struct stat info;
    return lstat(path.c_str(), &info) == 0;
  }

  testing::TempDir dir;
  Policy policy;
  const std::string tree = dir.File("tree");
};

TEST_CASE("folder tree: folders nested thousands deep are removed with few files open") {
  Fixture f;
  const UniqueFd inner = f.Nest(f.tree, 5000);
  REQUIRE(mkdirat(inner.get(), "left", 0700) == 0);
  REQUIRE(mkdirat(inner.get(), "right", 0500) == 0);
  FewFiles few;
  const absl::Status status = RemoveTree(f.policy, f.tree);
  INFO(status.ToString());
  CHECK(status.ok());
  CHECK_FALSE(f.Exists(f.tree));
}

TEST_CASE("folder tree: links deep in a removed tree are not followed") {
  Fixture f;
  const std::string precious = f.dir.File("precious");
  REQUIRE(mkdir(precious.c_str(), 0700) == 0);
  std::ofstream(precious + "/file") << "x";
  const UniqueFd inner = f.Nest(f.tree, 300);
  REQUIRE(symlinkat(precious.c_str(), inner.get(), "link") == 0);
  REQUIRE(RemoveTree(f.policy, f.tree).ok());
  CHECK(f.Exists(precious + "/file"));
}

TEST_CASE("folder tree: names that the removal itself would use are no obstacle") {
  Fixture f;
  std::ofstream(f.tree + "/lifted-0") << "x";
  for (const char* name : {"/lifted-1", "/lifted-2", "/lifted-3"}) {
    REQUIRE(mkdir((f.tree + name).c_str(), 0700) == 0);
    f.Nest(f.tree + name, 200);
  }
  const absl::Status status = RemoveTree(f.policy, f.tree);
  INFO(status.ToString());
  CHECK(status.ok());
  CHECK_FALSE(f.Exists(f.tree));
}

TEST_CASE("folder tree: a NUL after two dots does not lead above the root") {
  Fixture f;
  const std::string precious = f.dir.File("precious");
  std::ofstream(precious) << "x";
  f.policy.roots = {f.tree};
  CHECK_FALSE(RemoveTree(f.policy, f.tree + std::string("/..\0x", 5)).ok());
  CHECK_FALSE(RemoveTree(f.policy, f.tree + std::string("/.\0x", 4)).ok());
  CHECK(f.Exists(precious));
  CHECK(f.Exists(f.tree));
}

TEST_CASE("folder tree: what is not there is removed already") {
  Fixture f;
  CHECK(RemoveTree(f.policy, f.dir.File("missing")).ok());
  CHECK(RemoveTree(f.policy, f.dir.File("missing/too")).ok());
  CHECK_FALSE(RemoveTree(f.policy, "/etc").ok());
}

}  // namespace
}  // namespace appsup::keeper
