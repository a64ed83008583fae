#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "agent/keeper/state_file.h"
#include "common/unique_fd.h"
#include "tests/integration/keeper/keeper_fixture.h"
#include "tests/support/paths.h"

namespace appsup::agent {
namespace {

namespace fs = std::filesystem;

// A place where a keeper's program lies and is replaced, as a package manager does it.
class Programs {
 public:
  Programs() {
    fs::permissions(dir_.path(), fs::perms(0711));
    Install();
    fs::copy_file(testing::BinDir() + "/appsup-keeper-config", path() + "-config");
  }

  std::string path() const { return dir_.File("appsup-keeper"); }
  void Install() {
    fs::copy_file(testing::BinDir() + "/appsup-keeper", path() + ".new");
    fs::rename(path() + ".new", path());
  }
  void InstallScript(const std::string& script, int mode = 0755) {
    std::ofstream(path() + ".new") << "#!/bin/sh\n" << script << "\n";
    REQUIRE(chmod((path() + ".new").c_str(), static_cast<mode_t>(mode)) == 0);
    fs::rename(path() + ".new", path());
  }
  void Remove() { fs::remove(path()); }

 private:
  testing::TempDir dir_;
};

// A keeper that can be upgraded.
class Upgradable {
 public:
  explicit Upgradable(std::string yaml = "")
      : keeper({.yaml = std::move(yaml), .program = programs.path()}) {}

  bool RunsInstalled() {
    std::error_code ignored;
    return fs::read_symlink("/proc/" + std::to_string(keeper.keeper_pid()) + "/exe", ignored) ==
           programs.path();
  }
  // With a fresh file of the same program, and until a connected agent may work again.
  void Upgrade() {
    programs.Install();
    REQUIRE_FALSE(RunsInstalled());
    kill(keeper.keeper_pid(), SIGHUP);
    REQUIRE(keeper.Until([&] { return RunsInstalled(); }));
    keeper.Connect();
  }
  void IsRefused(const std::string& why) {
    size_t before = keeper.Log().size();
    kill(keeper.keeper_pid(), SIGHUP);
    INFO(why);
    CHECK(keeper.Until([&] {
      std::string said = keeper.Log().substr(before);
      return said.find("upgrade-refused") != std::string::npos &&
             said.find(why) != std::string::npos;
    }));
    INFO(keeper.Log());
    CHECK_FALSE(RunsInstalled());
  }

  Programs programs;
  KeeperFixture keeper;
};

// With and without control groups.
std::vector<std::string> BothWays() { return {"", "cgroups: false\n"}; }

StartRequest Waiting(KeeperFixture& keeper, const std::string& instance, const std::string& then) {
  return keeper.Shell(instance, "echo $$ > pid; until [ -e go ]; do sleep 0.01; done; " + then);
}

void LetGo(KeeperFixture& keeper, const std::string& instance) {
  std::ofstream(keeper.InstanceDir(instance) + "/go") << "\n";
}

// Told as an event, or in what the driver found after a reconnect.
ProcessExit ExitOf(KeeperFixture& keeper, const ProcessId& id) {
  std::optional<ProcessExit> exit;
  REQUIRE(keeper.Until([&] {
    if (!keeper.heard().exits[id].empty()) exit = keeper.heard().exits[id].back();
    for (const Inventory& inventory : keeper.heard().inventories) {
      for (const ExitedProcess& exited : inventory.exits) {
        if (exited.id == id) exit = exited.exit;
      }
    }
    return exit.has_value();
  }));
  return *exit;
}

absl::Duration Now() { return SystemClock().Now().boot; }

TEST_CASE("upgrade: processes stay, with pid, start time and exit code") {
  for (const std::string& yaml : BothWays()) {
    Upgradable host(yaml);
    KeeperFixture& keeper = host.keeper;
    StartRequest ended = keeper.Shell("ended", "exit 9");
    StartRequest request = Waiting(keeper, "one", "exit 7");
    keeper.Start(ended);
    keeper.WaitForExit(ended.id);
    Started started = keeper.Start(request);
    pid_t pid = keeper.keeper_pid();

    for (int round = 0; round < 2; ++round) {
      host.Upgrade();
      CHECK(keeper.keeper_pid() == pid);
      const Inventory& inventory = keeper.heard().inventories[0];
      REQUIRE(inventory.running.size() == 1);
      CHECK(inventory.running[0].id == request.id);
      CHECK(inventory.running[0].app_uid == request.app_uid);
      CHECK(inventory.running[0].started.pid == started.pid);
      CHECK(inventory.running[0].started.start_time == started.start_time);
      REQUIRE(inventory.exits.size() == 1);  // Nobody has acknowledged it.
      CHECK(inventory.exits[0].id == ended.id);
      CHECK(inventory.exits[0].exit.code == 9);
    }
    CHECK(keeper.Start(request).pid == started.pid);
    LetGo(keeper, "one");
    ProcessExit exit = keeper.WaitForExit(request.id);
    CHECK(exit.code == 7);
    CHECK_FALSE(exit.unknown);
    // And new ones start as before.
    StartRequest next = keeper.Shell("two", "exit 3");
    keeper.Start(next);
    CHECK(keeper.WaitForExit(next.id).code == 3);
  }
}

TEST_CASE("upgrade: an agent that is connected goes on by itself") {
  Upgradable host;
  KeeperFixture& keeper = host.keeper;
  StartRequest request = Waiting(keeper, "one", "exit 7");
  keeper.Start(request);
  host.programs.Install();
  kill(keeper.keeper_pid(), SIGHUP);
  // Asked for at any moment of it.
  int started = 0;
  REQUIRE(keeper.Until([&] {
    if (host.RunsInstalled() && keeper.heard().inventories.size() > 1) return true;
    StartRequest next = keeper.Shell("n" + std::to_string(started), "exit 0");
    if (started < 50) keeper.driver().Start(next), ++started;
    return false;
  }));
  LetGo(keeper, "one");
  CHECK(ExitOf(keeper, request.id).code == 7);
  for (int i = 0; i < started; ++i) {
    ProcessExit exit = ExitOf(keeper, {"n" + std::to_string(i), ProcessKind::kMain, 1});
    CHECK(exit.code == 0);
    CHECK_FALSE(exit.unknown);
  }
}

TEST_CASE("upgrade: a process that ends while the programs change keeps its code") {
  Upgradable host;
  KeeperFixture& keeper = host.keeper;
  constexpr int kCount = 30;
  for (int i = 0; i < kCount; ++i) {
    keeper.Start(Waiting(keeper, "n" + std::to_string(i), "exit " + std::to_string(i)));
  }
  host.programs.Install();
  kill(keeper.keeper_pid(), SIGHUP);
  for (int i = 0; i < kCount; ++i) LetGo(keeper, "n" + std::to_string(i));
  REQUIRE(keeper.Until([&] { return host.RunsInstalled(); }));
  keeper.Connect();
  for (int i = 0; i < kCount; ++i) {
    ProcessExit exit = ExitOf(keeper, {"n" + std::to_string(i), ProcessKind::kMain, 1});
    CHECK(exit.code == i);
    CHECK_FALSE(exit.unknown);
  }
}

TEST_CASE("upgrade: a stop that has begun ends as it was asked") {
  for (const std::string& yaml : BothWays()) {
    Upgradable host(yaml);
    KeeperFixture& keeper = host.keeper;
    StartRequest stubborn =
        keeper.Shell("stubborn", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done");
    // Its main process ends at once, and what is left has the grace.
    StartRequest draining = keeper.Shell(
        "draining", "sh -c 'trap \"\" TERM; echo $$ > child; while :; do sleep 1; done' & wait");
    keeper.Start(stubborn);
    keeper.Start(draining);
    keeper.ReadPid("stubborn", "pid");
    pid_t child = keeper.ReadPid("draining", "child");
    absl::Duration begin = Now();
    for (const StartRequest& request : {stubborn, draining}) {
      keeper.driver().Stop(request.id, SIGTERM, absl::Milliseconds(2500));
    }
    host.Upgrade();
    CHECK(keeper.heard().inventories[0].running.size() == 2);
    CHECK(keeper.WaitForExit(stubborn.id).signal == SIGKILL);
    CHECK(Now() - begin >= absl::Milliseconds(2500));
    CHECK(keeper.WaitForExit(draining.id).signal == SIGTERM);
    CHECK_FALSE(IsAlive(child));
  }
}

TEST_CASE("upgrade: fences and the warden go on", "[root]") {
  Upgradable host;
  KeeperFixture& keeper = host.keeper;
  StartRequest brief =
      keeper.Shell("brief", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done");
  StartRequest lasting = keeper.Shell("lasting", "echo $$ > pid; sleep 1000");
  StartRequest free = keeper.Shell("free", "echo $$ > pid; sleep 1000");
  brief.fence = Fence{Now() + absl::Milliseconds(2500), absl::Milliseconds(100)};
  lasting.fence = Fence{Now() + absl::Minutes(5), absl::ZeroDuration()};
  for (const StartRequest& request : {brief, lasting, free}) keeper.Start(request);
  host.Upgrade();
  for (const RunningProcess& running : keeper.heard().inventories[0].running) {
    CHECK(running.fenced == (running.id != free.id));
  }
  ProcessExit exit = keeper.WaitForExit(brief.id);
  CHECK(exit.signal == SIGKILL);
  CHECK(exit.by_fence);
  CHECK(Now() >= brief.fence->deadline);
  pid_t lasting_pid = keeper.ReadPid("lasting", "pid"), free_pid = keeper.ReadPid("free", "pid");
  CHECK(IsAlive(lasting_pid));
  keeper.EndKeeper(SIGKILL);
  CHECK(keeper.Until([&] { return !IsAlive(lasting_pid); }));
  CHECK(IsAlive(free_pid));
}

TEST_CASE("upgrade: what a keeper before the last has started stays known") {
  Upgradable host;
  KeeperFixture& keeper = host.keeper;
  StartRequest request = Waiting(keeper, "one", "exit 7");
  Started started = keeper.Start(request);
  keeper.EndKeeper(SIGKILL);
  keeper.StartKeeper();
  keeper.Connect();
  host.Upgrade();
  REQUIRE(keeper.heard().inventories[0].running.size() == 1);
  CHECK(keeper.heard().inventories[0].running[0].started.pid == started.pid);
  LetGo(keeper, "one");
  CHECK(keeper.WaitForExit(request.id).unknown);
}

TEST_CASE("upgrade: logs stay bounded, and apps get the limits that they always got") {
  Upgradable host;
  KeeperFixture& keeper = host.keeper;
  StartRequest request = Waiting(keeper, "one", "head -c 4000000 /dev/zero; sleep 1000");
  request.log_bound_bytes = 65536;
  keeper.Start(request);
  StartRequest before = keeper.Shell("before", "ulimit -n");
  keeper.Start(before);
  keeper.WaitForExit(before.id);
  host.Upgrade();
  LetGo(keeper, "one");
  CHECK(keeper.Until([&] {
    struct stat info;
    return stat(request.stdout_path.c_str(), &info) == 0 && info.st_size == 4'000'000 &&
           info.st_blocks * 512 < 200'000;
  }));
  StartRequest after = keeper.Shell("after", "ulimit -n");
  keeper.Start(after);
  keeper.WaitForExit(after.id);
  CHECK(keeper.Output("after") == keeper.Output("before"));
}

TEST_CASE("upgrade: no program that fails its check takes the keeper's place") {
  Upgradable host;
  KeeperFixture& keeper = host.keeper;
  StartRequest request = Waiting(keeper, "one", "exit 7");
  Started started = keeper.Start(request);
  std::string pid_file = keeper.root() + "/check.pid";

  host.programs.Remove();
  host.IsRefused("No such file");
  host.programs.InstallScript("exit 0", 0644);
  host.IsRefused("Permission denied");
  host.programs.InstallScript("kill -SEGV $$");
  host.IsRefused("--check-state failed without a word");
  host.programs.InstallScript("echo cannot read version 7 >&2; exit 1");
  host.IsRefused("cannot read version 7");
  host.programs.InstallScript("echo $$ > " + pid_file + "; exec sleep 1000");
  host.IsRefused("no answer within 5 s");
  CHECK_FALSE(IsAlive(static_cast<pid_t>(std::stol(ReadWhole(pid_file)))));
  // Its check is fine, but it is gone when it is its turn.
  host.programs.InstallScript("rm $0");
  host.IsRefused("No such file");

  keeper.Connect();
  CHECK(keeper.Start(request).pid == started.pid);
  host.Upgrade();
  LetGo(keeper, "one");
  CHECK(keeper.WaitForExit(request.id).code == 7);
}

TEST_CASE("upgrade: a configuration that is bad, or names other places, is refused") {
  Upgradable host;
  KeeperFixture& keeper = host.keeper;
  std::string good = ReadWhole(keeper.ConfigFile());
  host.programs.Install();
  auto configure = [&](const std::string& text) { std::ofstream(keeper.ConfigFile()) << text; };
  configure(good + "no_such_key: 1\n");
  host.IsRefused("no_such_key");
  configure(good + "cgroups: false\n");
  host.IsRefused("`cgroups` of keeper.yaml has changed");
  std::string moved = good;
  moved.replace(moved.find("/keeper.sock"), 12, "/other.sock");
  configure(moved);
  host.IsRefused("socket of keeper.yaml was");
  // What may change takes effect.
  configure(good + "users: [daemon]\n");
  host.Upgrade();
}

// Runs `--check-state` on a file descriptor: its exit code and what it says.
std::pair<int, std::string> Check(KeeperFixture& keeper, int fd) {
  std::string said = keeper.root() + "/said";
  pid_t child = fork();
  if (child == 0) {
    std::string program = testing::BinDir() + "/appsup-keeper", number = std::to_string(fd);
    fcntl(fd, F_SETFD, 0);
    dup2(open(said.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    execl(program.c_str(), program.c_str(), "--config", keeper.ConfigFile().c_str(),
          "--check-state", number.c_str(), nullptr);
    _exit(127);
  }
  int status = -1;
  CHECK(keeper.Until([&] { return waitpid(child, &status, WNOHANG) == child; }));
  return {WEXITSTATUS(status), ReadWhole(said)};
}

TEST_CASE("keeper: --check-state refuses what it cannot read, in a sentence") {
  KeeperFixture keeper;
  keeper_pb::KeeperState state;
  state.set_version(keeper::kStateVersion + 1);
  state.set_program("9.9.9");
  auto newer = keeper::WriteState(state);
  REQUIRE(newer.ok());
  auto [code, said] = Check(keeper, newer->get());
  CHECK(code == 1);
  CHECK(said.find("the state was written by keeper 9.9.9 in version 2; keeper") !=
        std::string::npos);

  UniqueFd garbage(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(write(garbage.get(), "garbage", 7) == 7);
  REQUIRE(fcntl(garbage.get(), F_ADD_SEALS,
                F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0);
  std::tie(code, said) = Check(keeper, garbage.get());
  CHECK(code == 1);
  CHECK(said ==
        "appsup-keeper: this is not the state of a keeper: it begins with something else\n");
}

}  // namespace
}  // namespace appsup::agent
