#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <set>

#include "tests/integration/keeper/keeper_fixture.h"

namespace appsup::agent {
namespace {

std::string Message(const absl::Status& status) { return std::string(status.message()); }

bool Enforces(KeeperFixture& keeper, const std::string& what) {
  const auto& list = keeper.heard().description.enforces;
  return std::find(list.begin(), list.end(), what) != list.end();
}

uid_t OwnerOf(const std::string& path) {
  struct stat info = {};
  REQUIRE(lstat(path.c_str(), &info) == 0);
  return info.st_uid;
}

TEST_CASE("keeper: each app has a user id of its own, and keeps it", "[root]") {
  KeeperFixture keeper;
  CHECK(Enforces(keeper, "user"));
  StartRequest one = keeper.Shell("one",
                                  "id -u; id -g; id -G; grep -E 'NoNewPrivs|CapBnd|CapEff' "
                                  "/proc/self/status | tr -d '\\t'; touch mine");
  StartRequest two = keeper.Shell("two", "id -u; cat " + keeper.InstanceDir("one") + "/mine");
  keeper.Start(one);
  keeper.WaitForExit(one.id);
  keeper.Start(two);
  CHECK(keeper.WaitForExit(two.id).code != 0);  // It cannot look into the other's folder.
  CHECK(keeper.Output("one") ==
        "20000\n20000\n20000\nCapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1\n");
  CHECK(keeper.Output("two") == "20001\n");
  CHECK(OwnerOf(keeper.InstanceDir("one")) == 20000);

  keeper.EndKeeper(SIGTERM);
  keeper.StartKeeper();
  keeper.Connect();
  StartRequest three = keeper.Shell("three", "id -u");
  keeper.Start(three);
  keeper.WaitForExit(three.id);
  two.id.attempt = 2;
  keeper.Start(two);
  keeper.WaitForExit(two.id);
  CHECK(keeper.Output("three") == "20002\n");
  CHECK(keeper.Output("two") == "20001\n20001\n");
}

TEST_CASE("keeper: only accounts that the policy lists can be asked for", "[root]") {
  KeeperFixture keeper({.yaml = "users: [daemon, root, nonesuch]\n"});
  StartRequest request = keeper.Shell("one", "id -un");
  request.user = "daemon";
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  CHECK(keeper.Output("one") == "daemon\n");

  struct Case {
    const char* user;
    absl::StatusCode code;
    const char* message;
  };
  for (const Case& c : {Case{"bin", absl::StatusCode::kPermissionDenied, "it is not among `users`"},
                        Case{"root", absl::StatusCode::kPermissionDenied, "no app runs as root"},
                        Case{"nonesuch", absl::StatusCode::kNotFound, "not in /etc/passwd"}}) {
    request.id.attempt++;
    request.user = c.user;
    absl::Status status = keeper.StartFails(request);
    CHECK(status.code() == c.code);
    CHECK(Message(status).find(c.message) != std::string::npos);
  }
}

TEST_CASE("keeper: without root another user is refused, and said not to be enforced", "[root]") {
  KeeperFixture keeper({.run_as = 65534, .yaml = "cgroups: false\n"});
  CHECK(keeper.heard().description.enforces.empty());
  CHECK(keeper.heard().description.message ==
        "limits of cpu, memory, pids are not enforced; stopping a tree of processes is best "
        "effort and no fence can be kept (keeper.yaml says cgroups: false); all apps run as the "
        "keeper's own user, which is not "
        "root");
  StartRequest request = keeper.Shell("one", "id -u");
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  CHECK(keeper.Output("one") == "65534\n");
  request.id.attempt = 2;
  request.user = "daemon";
  CHECK(keeper.StartFails(request).code() == absl::StatusCode::kPermissionDenied);
}

TEST_CASE("keeper: folders and logs lie beneath the allowed roots, without symbolic links") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "ln -s /etc link; ln -s /etc/hostname linked.log");
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  std::string dir = keeper.InstanceDir("one");

  auto refused = [&](const std::string& path) {
    StartRequest bad = request;
    bad.id.attempt = ++request.id.attempt;
    bad.folders = {{.path = path}};
    absl::Status folder = keeper.StartFails(bad);
    bad.folders.clear();
    bad.stdout_path = path;
    absl::Status log = keeper.StartFails(bad);
    INFO(folder.ToString() << " / " << log.ToString());
    CHECK_FALSE(folder.ok());
    CHECK_FALSE(log.ok());
    return Message(folder);
  };
  CHECK(refused("/etc/appsup").find("not beneath one of `roots`") != std::string::npos);
  CHECK(refused(keeper.root()).find("not beneath one of `roots`") != std::string::npos);
  CHECK(refused(keeper.root() + "-next/one").find("not beneath") != std::string::npos);
  CHECK(refused(dir + "/../../x").find("\"..\"") != std::string::npos);
  CHECK(refused(dir + "//x").find("is empty") != std::string::npos);
  CHECK(refused(dir + "/link").find("symbolic link") != std::string::npos);
  CHECK(refused(dir + "/link/x").find("symbolic link") != std::string::npos);
  refused("relative");

  keeper.driver().RemoveFolders(1, {"/etc"});
  keeper.driver().RemoveFolders(2, {keeper.root()});
  keeper.driver().RemoveFolders(3, {dir + "/link/apt"});
  REQUIRE(keeper.Until([&] { return keeper.heard().removed.size() == 3; }));
  for (const auto& [token, status] : keeper.heard().removed) CHECK_FALSE(status.ok());
  CHECK(access("/etc/hostname", F_OK) == 0);
}

TEST_CASE("keeper: a log that it did not make is refused") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "touch own.log; ln own.log second.log");
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  request.id.attempt = 2;
  request.stdout_path = keeper.InstanceDir("one") + "/own.log";
  absl::Status status = keeper.StartFails(request);
  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(Message(status).find("was not made by the keeper") != std::string::npos);
}

TEST_CASE("keeper: a folder of somebody else is not given to an app", "[root]") {
  KeeperFixture keeper;
  std::string path = keeper.root() + "/foreign";
  REQUIRE(mkdir(path.c_str(), 0755) == 0);
  REQUIRE(chown(path.c_str(), 1, 1) == 0);
  StartRequest request = keeper.Shell("one", "true");
  request.folders.push_back({.path = path});
  absl::Status status = keeper.StartFails(request);
  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(Message(status).find("belongs to user id 1") != std::string::npos);
  CHECK(OwnerOf(path) == 1);
}

TEST_CASE("keeper: an adopted tree becomes the app's, but for what has other links", "[root]") {
  KeeperFixture keeper;
  std::string path = keeper.InstanceDir("one") + "/code";
  REQUIRE(mkdir(keeper.InstanceDir("one").c_str(), 0755) == 0);
  REQUIRE(mkdir(path.c_str(), 0755) == 0);
  REQUIRE(mkdir((path + "/lib").c_str(), 0700) == 0);
  std::ofstream(path + "/lib/file") << "x";
  std::ofstream(path + "/linked") << "x";
  std::ofstream(path + "/foreign") << "x";
  std::string elsewhere = keeper.root() + "/precious";
  REQUIRE(link((path + "/linked").c_str(), elsewhere.c_str()) == 0);
  REQUIRE(chown((path + "/foreign").c_str(), 1, 1) == 0);
  REQUIRE(symlink("/etc/hostname", (path + "/soft").c_str()) == 0);
  StartRequest request = keeper.Shell("one", "echo more >> code/lib/file");
  request.folders.push_back({.path = path, .adopt_tree = true});
  keeper.Start(request);
  CHECK(keeper.WaitForExit(request.id).code == 0);
  CHECK(OwnerOf(path + "/lib") == 20000);
  CHECK(OwnerOf(path + "/lib/file") == 20000);
  CHECK(OwnerOf(path + "/soft") == 20000);
  CHECK(OwnerOf(elsewhere) == 0);
  CHECK(OwnerOf(path + "/foreign") == 1);
  CHECK(OwnerOf("/etc/hostname") == 0);
}

TEST_CASE("keeper: the kernel's kill for memory is told from other kills", "[root]") {
  KeeperFixture keeper;
  REQUIRE(Enforces(keeper, "memory"));
  // tail keeps what has no line end in memory.
  StartRequest request = keeper.Shell("one", "exec tail /dev/zero");
  request.limits.memory_bytes = 32 << 20;
  keeper.Start(request);
  ProcessExit exit = keeper.WaitForExit(request.id);
  CHECK(exit.signal == SIGKILL);
  CHECK(exit.out_of_memory);

  request = keeper.Shell("one", "sleep 1000", 2);
  request.limits.memory_bytes = 32 << 20;
  keeper.Start(request);
  keeper.driver().Kill(request.id);
  exit = keeper.WaitForExit(request.id);
  CHECK(exit.signal == SIGKILL);
  CHECK_FALSE(exit.out_of_memory);
}

TEST_CASE("keeper: the number of processes and the share of a processor are bounded", "[root]") {
  KeeperFixture keeper;
  REQUIRE(Enforces(keeper, "pids"));
  REQUIRE(Enforces(keeper, "cpu"));
  StartRequest request =
      keeper.Shell("one", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done 2>/dev/null; echo all");
  request.limits.pids = 5;
  keeper.Start(request);
  CHECK(keeper.WaitForExit(request.id).code != 0);
  CHECK(keeper.Output("one").empty());

  request = keeper.Shell("two", "while :; do :; done");
  request.limits.cpu_millis = 100;
  keeper.Start(request);
  auto& usages = keeper.heard().usages;
  auto samples_after = [&](size_t count) {
    keeper.driver().SampleUsage();
    return keeper.Until([&] { return usages.size() > count; });
  };
  REQUIRE(samples_after(0));
  absl::Time begin = absl::Now();
  REQUIRE(keeper.Until([&] { return absl::Now() - begin > absl::Milliseconds(700); }));
  REQUIRE(samples_after(1));
  CHECK(usages.back()[0].cpu_millis < 400);
}

TEST_CASE("keeper: limits change while an app runs, under the policy's ceilings", "[root]") {
  KeeperFixture keeper({.yaml = "limits: {memory: 64MiB}\n"});
  StartRequest request = keeper.Shell(
      "one", "echo $$ > pid; until [ -e go ]; do sleep 0.01; done; exec tail /dev/zero");
  keeper.Start(request);
  keeper.ReadPid("one", "pid");
  keeper.driver().SetLimits(request.id, {.memory_bytes = int64_t{1} << 40});
  REQUIRE(keeper.Until([&] { return keeper.heard().limits.count(request.id) == 1; }));
  INFO(keeper.heard().limits[request.id].ToString());
  CHECK(keeper.heard().limits[request.id].ok());
  std::ofstream(keeper.InstanceDir("one") + "/go") << "\n";
  CHECK(keeper.WaitForExit(request.id).out_of_memory);
  keeper.driver().SetLimits(request.id, {});
  REQUIRE(keeper.Until([&] { return !keeper.heard().limits[request.id].ok(); }));
  CHECK(keeper.heard().limits[request.id].code() == absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace appsup::agent
