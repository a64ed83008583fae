#include <catch2/catch.hpp>

#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

struct World : AgentWorld {
  World() {
    position.emplace().set_log_index(7);
    Boot();
    ConnectDriver();
    Connect();
  }
  void Return() {
    Boot();
    ConnectDriver();
    Connect();
    Advance(absl::Seconds(1));
  }
};

TEST_CASE("journal fault: a lost journal costs no restart, and the entry's word restores it") {
  World world;
  world.Assign(RunAssignment("a"));
  world.Advance(absl::Seconds(1));
  const api::InstanceStatus before = world.StatusOf("a");
  world.KillAgent();
  world.LoseJournal();
  world.Return();
  CHECK(world.Runs("a"));
  api::Assignment assignment = RunAssignment("a");
  assignment.set_known_attempt(before.attempt());
  assignment.set_known_sequence(before.sequence());
  world.Assign(assignment);
  world.Advance(absl::Minutes(1));
  CHECK(world.started == 1);
  CHECK(world.StatusOf("a").pid() == before.pid());
  CHECK(std::pair(world.StatusOf("a").attempt(), world.StatusOf("a").sequence()) >
        std::pair(before.attempt(), before.sequence()));
}

TEST_CASE("journal fault: without its last commit a started attempt is found and kept") {
  World world;
  world.Assign(RunAssignment("a"));
  world.Exit("a", 1);
  world.commits = false;
  world.Advance(absl::Seconds(3));
  world.CommitAll();  // Attempt 2 is durable, and started ..
  REQUIRE(world.RunningOf("a").request.id.attempt == 2);
  world.KillAgent();  // .. before its start is.
  world.TearJournal();
  world.commits = true;
  world.Return();
  CHECK(world.started == 2);
  CHECK(world.StatusOf("a").attempt() == 2);
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_RUNNING);
}

TEST_CASE("journal fault: an exit of an attempt that the journal lost counts, under its number") {
  World world;
  world.Assign(RunAssignment("a"));
  world.Exit("a", 1);
  world.commits = false;
  world.Advance(absl::Seconds(3));
  world.CommitAll();
  world.KillAgent();
  world.TearJournal();
  world.Exit("a", 42);
  world.commits = true;
  world.Return();
  CHECK(world.StatusOf("a").exit().code() == 42);
  CHECK(world.StatusOf("a").attempt() == 2);
  CHECK(world.exits.empty());
  world.Advance(absl::Seconds(5));
  CHECK(world.RunningOf("a").request.id.attempt == 3);
}

TEST_CASE("journal fault: a stop that the journal lost is asked for again, and not half done") {
  World world;
  world.Assign(RunAssignment("a"));
  world.stops = false;
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_STOP, 2));
  world.KillAgent();
  world.TearJournal();
  world.Return();
  CHECK(world.state("a") == api::INSTANCE_STATE_RUNNING);
  REQUIRE(world.LastHello().instances_size() == 1);
  CHECK(world.LastHello().instances(0).generation() == 1);
  world.stops = true;
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_STOP, 2));
  world.Advance(absl::Seconds(1));
  CHECK_FALSE(world.Runs("a"));
  CHECK(world.started == 1);
}

TEST_CASE("journal fault: on a full disk nothing new happens, and afterwards everything once") {
  World world;
  api::Assignment other = RunAssignment("b");
  world.Assign({RunAssignment("a"), other});
  world.commits = false;
  world.Handle(JournalStalled{"disk is full"});
  world.Exit("a", 1);
  world.Assign(With(other, api::DESIRED_STATE_STOP, 2));
  world.Advance(absl::Minutes(2));
  CHECK_FALSE(world.Runs("a"));    // Its next attempt cannot be written down.
  CHECK(world.exits.size() == 1);  // Nor its exit be forgotten.
  CHECK(world.Runs("b"));
  CHECK(world.core->figures().connected);
  world.commits = true;
  world.CommitAll();
  CHECK(world.Runs("a"));
  CHECK(world.started == 3);
  CHECK(world.exits.empty());
  CHECK(world.LastApplied().resync());
}

TEST_CASE("journal fault: changes of a full disk are lost with the agent, and come again") {
  World world;
  world.Assign(RunAssignment("a"));
  world.commits = false;
  world.Exit("a", 1);
  world.Advance(absl::Seconds(3));
  world.KillAgent();
  world.commits = true;
  world.Return();
  CHECK(world.StatusOf("a").exit().code() == 1);
  world.Advance(absl::Seconds(3));
  CHECK(world.RunningOf("a").request.id.attempt == 2);
  CHECK(world.started == 2);
}

}  // namespace
}  // namespace appsup::agent
