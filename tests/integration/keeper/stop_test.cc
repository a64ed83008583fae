#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "tests/integration/keeper/keeper_fixture.h"

namespace appsup::agent {
namespace {

// With and without control groups; the second also without root, as on a developer's machine.
std::vector<KeeperSettings> BothWays() {
  KeeperSettings without;
  without.yaml = "cgroups: false\n";
  if (geteuid() == 0) without.run_as = 65534;
  return {KeeperSettings(), without};
}

// A daemon: a grandchild in a session of its own, whose parent has ended.
constexpr char kDaemonise[] =
    "(setsid sh -c 'echo $$ > daemon; trap \"\" TERM; while :; do sleep 1; done' &) ; ";

TEST_CASE("keeper: stop sends the signal, and the app ends by itself") {
  for (const KeeperSettings& settings : BothWays()) {
    KeeperFixture keeper(settings);
    StartRequest request = keeper.Shell(
        "one", "trap 'echo bye; exit 5' TERM; echo $$ > ready; while :; do sleep 0.01; done");
    keeper.Start(request);
    keeper.ReadPid("one", "ready");
    keeper.driver().Stop(request.id, SIGTERM, absl::Minutes(5));
    ProcessExit exit = keeper.WaitForExit(request.id);
    CHECK(exit.code == 5);
    CHECK(exit.stopped);
    CHECK(keeper.Output("one") == "bye\n");
  }
}

TEST_CASE("keeper: an app that ignores the signal is killed at the end of its grace") {
  for (const KeeperSettings& settings : BothWays()) {
    KeeperFixture keeper(settings);
    StartRequest request =
        keeper.Shell("one", "trap '' TERM; echo $$ > ready; while :; do sleep 1; done");
    keeper.Start(request);
    keeper.ReadPid("one", "ready");
    absl::Time begin = absl::Now();
    keeper.driver().Stop(request.id, SIGTERM, absl::Milliseconds(300));
    // A later stop does not put the deadline off.
    keeper.driver().Stop(request.id, SIGTERM, absl::Minutes(5));
    ProcessExit exit = keeper.WaitForExit(request.id);
    CHECK(exit.signal == SIGKILL);
    CHECK(absl::Now() - begin >= absl::Milliseconds(290));
  }
}

TEST_CASE("keeper: a kill reaches a daemonised grandchild") {
  for (const KeeperSettings& settings : BothWays()) {
    KeeperFixture keeper(settings);
    StartRequest request = keeper.Shell("one", std::string(kDaemonise) + "sleep 1000");
    keeper.Start(request);
    pid_t daemon = keeper.ReadPid("one", "daemon");
    REQUIRE(IsAlive(daemon));
    keeper.driver().Kill(request.id);
    CHECK(keeper.WaitForExit(request.id).signal == SIGKILL);
    CHECK_FALSE(IsAlive(daemon));
  }
}

TEST_CASE("keeper: what the main process leaves behind ends before the exit is told") {
  for (const KeeperSettings& settings : BothWays()) {
    KeeperFixture keeper(settings);
    StartRequest request = keeper.Shell(
        "one", std::string(kDaemonise) + "until [ -s daemon ]; do sleep 0.01; done; exit 4");
    keeper.Start(request);
    CHECK(keeper.WaitForExit(request.id).code == 4);
    CHECK_FALSE(IsAlive(keeper.ReadPid("one", "daemon")));
  }
}

TEST_CASE("keeper: children of an app have its grace when the main process is gone") {
  for (const KeeperSettings& settings : BothWays()) {
    KeeperFixture keeper(settings);
    // The shell dies of the signal at once; its child needs a moment to clean up.
    StartRequest request =
        keeper.Shell("one",
                     "sh -c 'trap \"sleep 0.2; echo cleaned; exit\" TERM; echo $$ > child; "
                     "while :; do sleep 0.01; done' & wait");
    keeper.Start(request);
    keeper.ReadPid("one", "child");
    keeper.driver().Stop(request.id, SIGTERM, absl::Minutes(5));
    CHECK(keeper.WaitForExit(request.id).signal == SIGTERM);
    CHECK(keeper.Output("one") == "cleaned\n");
  }
}

TEST_CASE("keeper: unknown and ended processes are stopped without complaint") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "true");
  keeper.Start(request);
  keeper.WaitForExit(request.id);
  keeper.driver().Kill(request.id);
  keeper.driver().Kill({"nobody", ProcessKind::kMain, 1});
  StartRequest other = keeper.Shell("two", "true");
  keeper.Start(other);
  keeper.WaitForExit(other.id);
  CHECK(keeper.heard().exits[request.id].size() == 1);
}

TEST_CASE("keeper: apps survive its end, and the next keeper takes them over") {
  for (const KeeperSettings& settings : BothWays()) {
    for (int signal : {SIGTERM, SIGKILL}) {
      KeeperFixture keeper(settings);
      StartRequest lasting = keeper.Shell("lasting", std::string(kDaemonise) + "sleep 1000");
      StartRequest ended = keeper.Shell("ended", "exit 9");
      StartRequest dying = keeper.Shell("dying", "echo $$ > pid; sleep 1000");
      Started started = keeper.Start(lasting);
      pid_t daemon = keeper.ReadPid("lasting", "daemon");
      keeper.Start(ended);
      keeper.WaitForExit(ended.id);
      keeper.Start(dying);
      pid_t dying_pid = keeper.ReadPid("dying", "pid");
      keeper.EndKeeper(signal);
      CHECK(IsAlive(static_cast<pid_t>(started.pid)));
      kill(-dying_pid, SIGKILL);
      keeper.StartKeeper();
      keeper.Connect();

      const Inventory& inventory = keeper.heard().inventories[0];
      REQUIRE(inventory.running.size() == 1);
      CHECK(inventory.running[0].id == lasting.id);
      CHECK(inventory.running[0].app_uid == lasting.app_uid);
      CHECK(inventory.running[0].started.pid == started.pid);
      CHECK(inventory.running[0].started.start_time == started.start_time);
      REQUIRE(inventory.exits.size() == 2);
      CHECK(inventory.exits[0].id == dying.id);
      CHECK(inventory.exits[0].exit.unknown);
      CHECK(inventory.exits[1].id == ended.id);
      CHECK(inventory.exits[1].exit.code == 9);
      CHECK_FALSE(inventory.exits[1].exit.unknown);

      CHECK(keeper.Start(lasting).pid == started.pid);
      keeper.driver().Kill(lasting.id);
      CHECK(keeper.WaitForExit(lasting.id).unknown);
      CHECK_FALSE(IsAlive(daemon));
    }
  }
}

TEST_CASE("keeper: with --stop-apps-on-exit it stops them first, and kills at a second signal") {
  for (KeeperSettings settings : BothWays()) {
    settings.stop_apps_on_exit = true;
    KeeperFixture keeper(settings);
    StartRequest polite = keeper.Shell(
        "polite", "trap 'echo bye; exit' TERM; echo $$ > pid; while :; do sleep 0.01; done");
    StartRequest stubborn =
        keeper.Shell("stubborn", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done");
    polite.stop_grace = stubborn.stop_grace = absl::Minutes(5);
    keeper.Start(polite);
    keeper.Start(stubborn);
    pid_t polite_pid = keeper.ReadPid("polite", "pid");
    pid_t stubborn_pid = keeper.ReadPid("stubborn", "pid");
    kill(keeper.keeper_pid(), SIGTERM);
    REQUIRE(keeper.Until([&] { return !IsAlive(polite_pid); }));
    CHECK(keeper.Output("polite") == "bye\n");
    CHECK(IsAlive(stubborn_pid));
    CHECK(keeper.EndKeeper(SIGTERM) == 0);
    CHECK_FALSE(IsAlive(stubborn_pid));
  }
}

}  // namespace
}  // namespace appsup::agent
