#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>

#include "tests/integration/keeper/keeper_fixture.h"

namespace appsup::agent {
namespace {

// A daemon in a session of its own and a child, all of which ignore the polite signal.
constexpr char kStubbornTree[] =
    "trap '' TERM; (setsid sh -c 'echo $$ > daemon; while :; do sleep 1; done' &); "
    "sh -c 'echo $$ > child; while :; do sleep 1; done' & "
    "echo $$ > main; while :; do sleep 1; done";

absl::Duration Now() { return SystemClock().Now().boot; }

Fence In(absl::Duration left, absl::Duration stop_before = absl::ZeroDuration()) {
  return {.deadline = Now() + left, .stop_before = stop_before};
}

StartRequest Fenced(KeeperFixture& keeper, const std::string& instance, const std::string& script,
                    const Fence& fence) {
  StartRequest request = keeper.Shell(instance, script);
  request.fence = fence;
  return request;
}

struct Tree {
  pid_t main, child, daemon;
  bool IsGone() const { return !IsAlive(main) && !IsAlive(child) && !IsAlive(daemon); }
  bool IsWhole() const { return IsAlive(main) && IsAlive(child) && IsAlive(daemon); }
};

Tree ReadTree(KeeperFixture& keeper, const std::string& instance) {
  return {keeper.ReadPid(instance, "main"), keeper.ReadPid(instance, "child"),
          keeper.ReadPid(instance, "daemon")};
}

// The process of that name whose parent is `parent`; 0: there is none.
pid_t ChildNamed(pid_t parent, const std::string& name) {
  std::string path = "/proc/" + std::to_string(parent);
  std::ifstream children(path + "/task/" + std::to_string(parent) + "/children");
  for (pid_t pid; children >> pid;) {
    if (ReadWhole("/proc/" + std::to_string(pid) + "/comm") == name + "\n" && IsAlive(pid)) {
      return pid;
    }
  }
  return 0;
}

pid_t WardenOf(KeeperFixture& keeper) {
  pid_t warden = 0;
  REQUIRE(keeper.Until([&] {
    warden = ChildNamed(keeper.keeper_pid(), "appsup-warden");
    return warden != 0;
  }));
  return warden;
}

bool IsListed(KeeperFixture& keeper, const ProcessId& id, bool fenced) {
  keeper.Connect();
  for (const RunningProcess& running : keeper.heard().inventories[0].running) {
    if (running.id == id) return running.fenced == fenced;
  }
  return false;
}

TEST_CASE("fence: at the deadline all of the tree is dead, whatever it ignores", "[root]") {
  KeeperFixture keeper;
  StartRequest request =
      Fenced(keeper, "one", kStubbornTree, In(absl::Milliseconds(1500), absl::Milliseconds(300)));
  keeper.Start(request);
  Tree tree = ReadTree(keeper, "one");
  CHECK(tree.IsWhole());
  ProcessExit exit = keeper.WaitForExit(request.id);
  CHECK(exit.signal == SIGKILL);
  CHECK(exit.by_fence);
  CHECK(tree.IsGone());
  CHECK(Now() >= request.fence->deadline);
  CHECK(Now() < request.fence->deadline + absl::Seconds(1));
}

TEST_CASE("fence: its stop begins before the deadline, and a later one does not undo it",
          "[root]") {
  KeeperFixture keeper;
  StartRequest request =
      Fenced(keeper, "one",
             "trap 'echo told; trap \"\" TERM' TERM; echo $$ > ready; while :; do sleep 0.01; done",
             In(absl::Seconds(2), absl::Milliseconds(1500)));
  keeper.Start(request);
  keeper.ReadPid("one", "ready");
  REQUIRE(keeper.Until([&] { return keeper.Output("one") == "told\n"; }));
  CHECK(Now() < request.fence->deadline);
  keeper.driver().SetFences({{request.id, In(absl::Minutes(5))}});
  CHECK(keeper.WaitForExit(request.id).signal == SIGKILL);
  CHECK(Now() < request.fence->deadline + absl::Seconds(1));
}

TEST_CASE("fence: a process that ends by itself within it keeps its exit code", "[root]") {
  KeeperFixture keeper;
  StartRequest request = Fenced(keeper, "one", "exit 5", In(absl::Minutes(5)));
  keeper.Start(request);
  ProcessExit exit = keeper.WaitForExit(request.id);
  CHECK(exit.code == 5);
  CHECK_FALSE(exit.by_fence);
}

TEST_CASE("fence: extensions keep the tree, an earlier deadline changes nothing", "[root]") {
  KeeperFixture keeper;
  StartRequest request = Fenced(keeper, "one", kStubbornTree, In(absl::Seconds(1)));
  keeper.Start(request);
  Tree tree = ReadTree(keeper, "one");
  Fence longer = In(absl::Seconds(2));
  keeper.driver().SetFences({{request.id, longer}, {{"nobody"}, In(absl::Seconds(1))}});
  keeper.driver().SetFences({{request.id, In(absl::Milliseconds(1))}});
  REQUIRE(keeper.Until([&] { return Now() > request.fence->deadline + absl::Milliseconds(300); }));
  CHECK(tree.IsWhole());
  keeper.WaitForExit(request.id);
  CHECK(tree.IsGone());
  CHECK(Now() >= longer.deadline);
}

TEST_CASE("fence: one can be lifted, and set on what runs already", "[root]") {
  KeeperFixture keeper;
  StartRequest lifted = Fenced(keeper, "lifted", "sleep 1000", In(absl::Seconds(1)));
  StartRequest later = keeper.Shell("later", kStubbornTree);
  Started lifted_one = keeper.Start(lifted);
  keeper.Start(later);
  Tree tree = ReadTree(keeper, "later");
  keeper.driver().SetFences({{lifted.id, std::nullopt}, {later.id, In(absl::Milliseconds(1200))}});
  CHECK(IsListed(keeper, lifted.id, false));
  CHECK(IsListed(keeper, later.id, true));
  keeper.WaitForExit(later.id);
  CHECK(tree.IsGone());
  CHECK(Now() > lifted.fence->deadline);
  CHECK(IsAlive(static_cast<pid_t>(lifted_one.pid)));
}

TEST_CASE("fence: one that has run out starts nothing", "[root]") {
  KeeperFixture keeper;
  for (const Fence& fence :
       {In(absl::Seconds(-1)), In(absl::Seconds(5), absl::Seconds(6)), In(absl::ZeroDuration())}) {
    StartRequest request = Fenced(keeper, "one", "echo ran", fence);
    absl::Status status = keeper.StartFails(request);
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(status.message().find("the fence has run out") != std::string::npos);
  }
  CHECK(keeper.Output("one").empty());
  // A repeated request gets the first's answer, however late.
  StartRequest request = Fenced(keeper, "two", "sleep 1000", In(absl::Seconds(1)));
  Started started = keeper.Start(request);
  keeper.driver().SetFences({{request.id, In(absl::Minutes(5))}});
  REQUIRE(keeper.Until([&] { return Now() > request.fence->deadline; }));
  CHECK(keeper.Start(request).pid == started.pid);
}

TEST_CASE("fence: the deadline holds when the agent is gone", "[root]") {
  KeeperFixture keeper;
  StartRequest request = Fenced(keeper, "one", kStubbornTree, In(absl::Seconds(1)));
  keeper.Start(request);
  Tree tree = ReadTree(keeper, "one");
  keeper.Disconnect();
  REQUIRE(keeper.Until([&] { return tree.IsGone(); }));
  CHECK(Now() >= request.fence->deadline);
  CHECK(Now() < request.fence->deadline + absl::Seconds(1));
  keeper.Connect();
  REQUIRE(keeper.heard().inventories[0].exits.size() == 1);
  CHECK(keeper.heard().inventories[0].exits[0].exit.signal == SIGKILL);
}

TEST_CASE("fence: without control groups it is not promised, and refused", "[root]") {
  KeeperFixture keeper({.yaml = "cgroups: false\n"});
  for (const std::string& word : keeper.heard().description.enforces) CHECK(word != "deadline");
  CHECK(keeper.heard().description.message.find("no fence can be kept") != std::string::npos);
  absl::Status status =
      keeper.StartFails(Fenced(keeper, "one", "sleep 1000", In(absl::Minutes(5))));
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(status.message().find("this keeper cannot keep a fence") == 0);
}

TEST_CASE("fence: it is promised where trees can be killed", "[root]") {
  KeeperFixture keeper;
  const std::vector<std::string>& enforces = keeper.heard().description.enforces;
  CHECK(std::count(enforces.begin(), enforces.end(), "deadline") == 1);
}

TEST_CASE("fence: fenced trees die with a keeper that is killed, others live", "[root]") {
  KeeperFixture keeper;
  StartRequest fenced = Fenced(keeper, "fenced", kStubbornTree, In(absl::Minutes(5)));
  StartRequest later = keeper.Shell("later", kStubbornTree);
  StartRequest lasting = keeper.Shell("lasting", kStubbornTree);
  for (const StartRequest& request : {fenced, later, lasting}) keeper.Start(request);
  Tree one = ReadTree(keeper, "fenced"), two = ReadTree(keeper, "later");
  Tree three = ReadTree(keeper, "lasting");
  keeper.driver().SetFences({{later.id, In(absl::Minutes(5))}});
  CHECK(IsListed(keeper, later.id, true));
  keeper.EndKeeper(SIGKILL);
  absl::Duration begin = Now();
  CHECK(keeper.Until([&] { return one.IsGone() && two.IsGone(); }));
  CHECK(Now() - begin < absl::Seconds(1));
  CHECK(three.IsWhole());

  keeper.StartKeeper();
  keeper.Connect();
  REQUIRE(keeper.heard().inventories[0].running.size() == 1);
  CHECK(keeper.heard().inventories[0].running[0].id == lasting.id);
  REQUIRE(keeper.heard().inventories[0].exits.size() == 2);
  for (const ExitedProcess& exited : keeper.heard().inventories[0].exits) {
    CHECK(exited.exit.unknown);
    CHECK(exited.exit.by_fence);
  }
}

TEST_CASE("fence: a keeper that finds fenced trees of a dead one kills them first", "[root]") {
  KeeperFixture keeper;
  // Fenced later, so that only the warden would kill it; and that dies too.
  StartRequest request = keeper.Shell("one", kStubbornTree);
  keeper.Start(request);
  Tree tree = ReadTree(keeper, "one");
  keeper.driver().SetFences({{request.id, In(absl::Minutes(5))}});
  CHECK(IsListed(keeper, request.id, true));
  pid_t warden = WardenOf(keeper);
  kill(keeper.keeper_pid(), SIGSTOP);
  kill(warden, SIGKILL);
  keeper.EndKeeper(SIGKILL);
  CHECK(tree.IsWhole());
  keeper.StartKeeper();
  REQUIRE(keeper.Until([&] { return tree.IsGone(); }));
  keeper.Connect();
  const Inventory& found = keeper.heard().inventories[0];
  CHECK((found.exits.empty() ? keeper.WaitForExit(request.id) : found.exits[0].exit).unknown);
}

TEST_CASE("fence: a warden that dies is made again and knows all", "[root]") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", kStubbornTree);
  keeper.Start(request);
  Tree tree = ReadTree(keeper, "one");
  keeper.driver().SetFences({{request.id, In(absl::Minutes(5))}});
  for (int i = 0; i < 3; ++i) {
    pid_t warden = WardenOf(keeper);
    kill(warden, SIGKILL);
    REQUIRE(keeper.Until([&] { return !IsAlive(warden); }));
  }
  WardenOf(keeper);
  CHECK(tree.IsWhole());
  keeper.EndKeeper(SIGKILL);
  CHECK(keeper.Until([&] { return tree.IsGone(); }));
}

TEST_CASE("fence: the deadline holds when the keeper itself is held up", "[root]") {
  KeeperFixture keeper;
  StartRequest request = Fenced(keeper, "one", kStubbornTree, In(absl::Seconds(1)));
  keeper.Start(request);
  Tree tree = ReadTree(keeper, "one");
  Fence longer = In(absl::Milliseconds(1500));
  keeper.driver().SetFences({{request.id, longer}});
  CHECK(IsListed(keeper, request.id, true));
  kill(keeper.keeper_pid(), SIGSTOP);
  CHECK(keeper.Until([&] { return tree.IsGone(); }));
  CHECK(Now() >= longer.deadline);
  CHECK(Now() < longer.deadline + absl::Seconds(1));
  kill(keeper.keeper_pid(), SIGCONT);
  CHECK(keeper.WaitForExit(request.id).by_fence);
}

TEST_CASE("fence: a keeper that is told to end takes its fenced trees along, politely", "[root]") {
  KeeperFixture keeper;
  StartRequest polite =
      Fenced(keeper, "polite",
             "trap 'echo bye; exit 3' TERM; echo $$ > ready; while :; do sleep 0.01; done",
             In(absl::Minutes(5)));
  StartRequest lasting = keeper.Shell("lasting", "echo $$ > ready; sleep 1000");
  keeper.Start(polite);
  keeper.Start(lasting);
  keeper.ReadPid("polite", "ready");
  pid_t lasting_pid = keeper.ReadPid("lasting", "ready");
  keeper.EndKeeper(SIGTERM);
  CHECK(keeper.Output("polite") == "bye\n");
  CHECK(IsAlive(lasting_pid));
  keeper.StartKeeper();
  keeper.Connect();
  REQUIRE(keeper.heard().inventories[0].exits.size() == 1);
  CHECK(keeper.heard().inventories[0].exits[0].exit.code == 3);
  CHECK(keeper.heard().inventories[0].exits[0].exit.by_fence);
}

TEST_CASE("driver: of fences set while the keeper is away the newest holds", "[root]") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "echo $$ > ready; sleep 1000");
  keeper.Start(request);
  pid_t pid = keeper.ReadPid("one", "ready");
  keeper.EndKeeper(SIGTERM);
  REQUIRE(keeper.Until([&] { return !keeper.heard().disconnects.empty(); }));
  keeper.driver().SetFences({{request.id, In(absl::Minutes(5))}});
  keeper.driver().SetFences({{request.id, std::nullopt}});
  Fence fence = In(absl::Seconds(1));
  keeper.driver().SetFences({{request.id, fence}});
  keeper.StartKeeper();
  CHECK(keeper.Until([&] { return !IsAlive(pid); }));
  CHECK(Now() >= fence.deadline);
}

}  // namespace
}  // namespace appsup::agent
