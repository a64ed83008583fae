#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

ProcessId Main(const std::string& uid, int64_t attempt) {
  return {uid, ProcessKind::kMain, attempt};
}

// The journal knows a catalog, but not what runs: an older copy of it, say.
struct World : AgentWorld {
  World() {
    position.emplace().set_log_index(7);
    Boot();
    ConnectDriver();
    Connect();
    Assign(std::vector<api::Assignment>{});
    KillAgent();
  }
  void Return() {
    Boot();
    ConnectDriver();
    Connect();
  }
};

api::Assignment Setup() {
  api::Assignment assignment = RunAssignment("s");
  assignment.set_setup(true);
  assignment.mutable_spec()->mutable_setup()->add_command("migrate");
  return assignment;
}

TEST_CASE("stranger: it is left alone and named, with generation 0 and its newest attempt") {
  World world;
  world.RunStranger(Main("x", 4));
  world.Return();
  CHECK_FALSE(world.core->figures().guarded);
  REQUIRE(world.LastHello().instances_size() == 1);
  const api::HeldInstance held = world.LastHello().instances(0);
  CHECK(held.uid() == "x");
  CHECK(held.generation() == 0);
  CHECK(held.digest().empty());
  CHECK(held.attempt() == 4);
  world.Advance(absl::Hours(1));
  CHECK(world.Runs("x"));
  CHECK(world.core->InUse().instances.contains("x"));
  CHECK_FALSE(world.core->InUse().all_artifacts_known);
}

TEST_CASE("stranger: RUN adopts it as it is") {
  World world;
  world.RunStranger(Main("x", 4));
  world.Return();
  api::Assignment assignment = RunAssignment("x", 9);
  assignment.set_restart_nonce(3);
  assignment.set_known_attempt(4);
  assignment.set_known_sequence((int64_t{12} << 32) + 5);
  api::Port* port = assignment.mutable_spec()->add_ports();
  port->set_name("http");
  port->set_number(8080);
  world.Assign(assignment);
  world.Advance(absl::Seconds(1));
  CHECK(world.started == 0);
  const api::InstanceStatus status = world.StatusOf("x");
  CHECK(status.state() == api::INSTANCE_STATE_RUNNING);
  CHECK(status.attempt() == 4);
  CHECK(status.restart_nonce() == 3);
  CHECK(status.sequence() > assignment.known_sequence());
  REQUIRE(status.endpoints_size() == 1);
  CHECK(status.endpoints(0).address() == "10.0.0.5:8080");
  world.Exit("x", 1);
  world.Advance(absl::Seconds(3));
  CHECK(world.RunningOf("x").request.id.attempt == 5);
}

TEST_CASE("stranger: a fenced one is adopted with its fence, which the grants move") {
  World world;
  world.RunStranger(Main("x", 1), "app1",
                    Fence{world.now.boot + absl::Seconds(10), absl::Seconds(3)});
  world.Return();
  api::Assignment assignment = RunAssignment("x");
  assignment.set_fenced(true);
  world.Assign(assignment);
  world.Advance(absl::Minutes(1));
  CHECK(world.Runs("x"));
  CHECK(world.StatusOf("x").fenced());
}

TEST_CASE("stranger: REMOVE stops it with SIGTERM and 30 seconds, and it is gone") {
  World world;
  const auto kind = GENERATE(ProcessKind::kMain, ProcessKind::kSetup);
  world.RunStranger({"x", kind, 4});
  world.Return();
  api::Assignment removal;
  removal.set_uid("x");
  removal.set_generation(1);
  removal.set_desired(api::DESIRED_STATE_REMOVE);
  world.effects.clear();
  world.Assign(removal);
  REQUIRE(world.Seen<StopProcess>().size() == 1);
  CHECK(world.Seen<StopProcess>()[0].signal == 15);
  CHECK(world.Seen<StopProcess>()[0].grace == absl::Seconds(30));
  CHECK(world.Seen<KillProcess>().empty());
  world.Advance(absl::Seconds(1));
  CHECK_FALSE(world.Runs("x"));
  CHECK(world.StatusOf("x").state() == api::INSTANCE_STATE_REMOVED);
  CHECK(world.exits.empty());
  world.Disconnect();
  world.LinkUpOnly();
  CHECK(world.LastHello().instances_size() == 0);
}

TEST_CASE("stranger: STOP stops it and keeps it") {
  World world;
  world.RunStranger(Main("x", 4));
  world.Return();
  world.Assign(With(RunAssignment("x"), api::DESIRED_STATE_STOP, 1));
  world.Advance(absl::Seconds(1));
  CHECK_FALSE(world.Runs("x"));
  CHECK(world.StatusOf("x").state() == api::INSTANCE_STATE_EXITED);
  CHECK(world.StatusOf("x").attempt() == 4);
}

TEST_CASE("stranger: how it ended is kept until somebody says what it was") {
  World world;
  const bool while_away = GENERATE(true, false);
  world.RunStranger({"s", ProcessKind::kSetup, 1});
  if (while_away) world.Exit("s", 0);
  world.Return();
  if (!while_away) world.Exit("s", 0);
  CHECK(world.exits.size() == 1);
  world.Disconnect();
  world.Connect();
  REQUIRE(world.LastHello().instances_size() == 1);
  CHECK(world.LastHello().instances(0).attempt() == 1);
  world.Assign(Setup());
  world.Advance(absl::Seconds(1));
  CHECK(world.started == 0);
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_EXITED);
  CHECK(world.StatusOf("s").message() == "setup succeeded");
  CHECK(world.StatusOf("s").attempt() == 1);
  CHECK(world.exits.empty());
}

TEST_CASE("stranger: an exit that nobody asks for is forgotten with its removal") {
  World world;
  world.RunStranger(Main("x", 2));
  world.Exit("x", 1);
  world.Return();
  world.Assign(With(RunAssignment("x"), api::DESIRED_STATE_REMOVE, 1));
  world.Advance(absl::Seconds(1));
  CHECK(world.exits.empty());
  CHECK(world.StatusOf("x").state() == api::INSTANCE_STATE_REMOVED);
}

TEST_CASE("stranger: attempts and sequences go on after what the entry knows") {
  World world;
  world.Return();
  api::Assignment assignment = RunAssignment("x");
  assignment.set_known_attempt(8);
  assignment.set_known_sequence((int64_t{40} << 32) + 5);
  world.Assign(assignment);
  world.Advance(absl::Seconds(1));
  CHECK(world.RunningOf("x").request.id.attempt == 9);
  CHECK(world.StatusOf("x").attempt() == 9);
  CHECK(world.StatusOf("x").restarts() == 0);
  const int64_t sequence = world.StatusOf("x").sequence();
  CHECK(sequence > assignment.known_sequence());
  world.KillAgent();
  world.Return();
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("x").sequence() > sequence);
}

TEST_CASE("stranger: a setup that the entry knows an attempt of is not run again") {
  World world;
  world.Return();
  api::Assignment setup = Setup();
  setup.set_known_attempt(1);
  world.Assign(setup);
  world.Advance(absl::Hours(1));
  CHECK(world.started == 0);
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_FAILED);
  CHECK(world.StatusOf("s").exit().unknown());
  CHECK(world.StatusOf("s").attempt() == 1);
}

TEST_CASE("stranger: reports go on after a journal that is older than they are") {
  World world;
  world.Return();
  world.Assign(RunAssignment("x"));
  world.Advance(absl::Seconds(1));
  api::Assignment again = RunAssignment("x");
  again.set_known_attempt(1);
  again.set_known_sequence(world.StatusOf("x").sequence() + 1000);
  world.Assign(again);  // The same statement, but the entry has heard more.
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("x").sequence() > again.known_sequence());
  CHECK(world.started == 1);
}

TEST_CASE("stranger: impossible knowledge is refused and changes nothing") {
  World world;
  world.Return();
  api::Assignment assignment = RunAssignment("x");
  const int64_t known = GENERATE(int64_t{-1}, INT64_MAX);
  if (GENERATE(true, false)) {
    assignment.set_known_attempt(known);
  } else {
    assignment.set_known_sequence(known);
  }
  world.Assign(assignment);
  CHECK(world.LastApplied().refused_size() == 1);
  CHECK(world.started == 0);
  world.Assign(RunAssignment("y"));
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("y").sequence() > 0);
}

TEST_CASE("stranger: under the guard nothing else of its app is started beside it") {
  World world;
  world.RunStranger(Main("x", 1));
  world.LoseJournal();
  world.Return();
  REQUIRE(world.core->figures().guarded);
  api::Assignment other = RunAssignment("y");
  other.set_slot(1);
  world.Assign(other);
  world.Advance(absl::Minutes(1));
  CHECK_FALSE(world.Runs("y"));
  SECTION("until it is known") { world.Assign(RunAssignment("x")); }
  SECTION("until it ends") { world.Exit("x", 0); }
  world.Advance(absl::Minutes(2));
  CHECK(world.Runs("y"));
}

TEST_CASE("stranger: nothing else of its app is started before its removal is done") {
  World world;
  world.RunStranger(Main("x", 1));
  world.Return();
  const bool known_first = GENERATE(false, true);
  world.stops = false;
  if (known_first) world.Assign(RunAssignment("y"));
  world.Advance(absl::Minutes(1));
  CHECK_FALSE(world.Runs("y"));
  api::Assignment removal;
  removal.set_uid("x");
  removal.set_generation(1);
  removal.set_desired(api::DESIRED_STATE_REMOVE);
  world.Assign(removal);
  if (!known_first) world.Assign(RunAssignment("y"));
  world.Advance(absl::Seconds(29));
  CHECK_FALSE(world.Runs("y"));
  if (GENERATE(false, true)) {
    world.KillAgent();
    world.Return();
    world.Advance(absl::Seconds(29));
    CHECK_FALSE(world.Runs("y"));
  }
  world.Exit("x", 0);
  world.Advance(absl::Seconds(1));
  CHECK(world.Runs("y"));
}

}  // namespace
}  // namespace appsup::agent
