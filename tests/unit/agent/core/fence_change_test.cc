#include <catch2/catch.hpp>

#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

api::Assignment Stated(bool fenced, int64_t generation) {
  api::Assignment assignment = RunAssignment("a", generation);
  assignment.set_fenced(fenced);
  return assignment;
}

struct World : AgentWorld {
  World() {
    Boot();
    ConnectDriver();
    Connect();
  }
  bool Told() {
    Advance(absl::Milliseconds(200));
    return StatusOf("a").fenced();
  }
};

TEST_CASE("fence change: set on a running process without a restart, and told when it holds") {
  World world;
  world.Assign(Stated(false, 1));
  CHECK_FALSE(world.Told());
  world.confirms = false;
  world.Assign(Stated(true, 2));
  REQUIRE(world.Seen<SetFences>().size() == 1);
  CHECK(world.RunningOf("a").fence.has_value());
  CHECK_FALSE(world.Told());
  CHECK(world.StatusOf("a").generation() == 2);
  world.Handle(FencesSet{{world.RunningOf("a").request.id}});
  CHECK(world.Told());
  CHECK(world.started == 1);
}

TEST_CASE("fence change: lifted from a running process without a restart") {
  World world;
  world.Assign(Stated(true, 1));
  CHECK(world.Told());
  world.Assign(Stated(false, 2));
  CHECK_FALSE(world.RunningOf("a").fence.has_value());
  CHECK_FALSE(world.Told());
  world.grants = false;
  world.Advance(absl::Minutes(5));
  CHECK(world.started == 1);
  CHECK(world.Runs("a"));
}

TEST_CASE("fence change: without a lease a running process is fenced with the next grant") {
  World world;
  world.grants = false;
  world.Assign(Stated(false, 1));
  world.Advance(absl::Seconds(9));
  world.Assign(Stated(true, 2));
  CHECK_FALSE(world.RunningOf("a").fence.has_value());
  CHECK_FALSE(world.Told());
  world.Grant();
  CHECK(world.RunningOf("a").fence.has_value());
  CHECK(world.Told());
  CHECK(world.started == 1);
}

TEST_CASE("fence change: what waits for a lease starts when it is fenced no more") {
  World world;
  world.grants = false;
  world.Advance(absl::Seconds(9));
  world.Assign(Stated(true, 1));
  CHECK_FALSE(world.Runs("a"));
  world.Assign(Stated(false, 2));
  REQUIRE(world.Runs("a"));
  CHECK_FALSE(world.RunningOf("a").request.fence.has_value());
  CHECK_FALSE(world.Told());
}

TEST_CASE("fence change: while it is being started, what is stated last holds") {
  World world;
  const bool last = GENERATE(true, false);
  world.commits = false;
  world.Assign(Stated(!last, 1));
  world.Assign(Stated(last, 2));
  world.commits = true;
  world.CommitAll();
  REQUIRE(world.Runs("a"));
  CHECK(world.RunningOf("a").fence.has_value() == last);
  CHECK(world.Told() == last);
  CHECK(world.started == 1);
}

TEST_CASE("fence change: over a crash of the agent the process gets what was stated last") {
  World world;
  const bool last = GENERATE(true, false);
  world.Assign(Stated(!last, 1));
  world.DisconnectDriver();
  world.Assign(Stated(last, 2));
  world.KillAgent();
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  world.Advance(absl::Seconds(1));
  CHECK(world.RunningOf("a").fence.has_value() == last);
  CHECK(world.Told() == last);
  CHECK(world.started == 1);
}

TEST_CASE("fence change: one that the journal has lost is lifted by the next grant only") {
  World world;
  world.Assign(Stated(false, 1));
  world.Advance(absl::Seconds(1));
  const JournalContents older = world.durable;
  world.Assign(Stated(true, 2));
  CHECK(world.Told());
  world.KillAgent();
  world.durable = older;
  world.Boot();
  world.ConnectDriver();
  CHECK(world.RunningOf("a").fence.has_value());
  SECTION("which comes in time") {
    world.Connect();
    world.Advance(absl::Seconds(10));
    CHECK_FALSE(world.RunningOf("a").fence.has_value());
    CHECK(world.started == 1);
  }
  SECTION("and not before the fence ends it: nor is it started again before") {
    world.Advance(absl::Minutes(5));
    CHECK_FALSE(world.Runs("a"));
    CHECK(world.started == 1);
    world.Connect();
    world.Advance(absl::Seconds(10));
    CHECK(world.Runs("a"));
    CHECK(world.started == 2);
  }
}

TEST_CASE("fence change: a keeper that cannot keep deadlines gets no fenced app") {
  World world;
  world.DisconnectDriver();
  world.enforces = {"cpu", "memory"};
  world.ConnectDriver();
  world.Connect();
  world.Assign(Stated(false, 1));
  world.Assign(Stated(true, 2));
  REQUIRE(world.LastApplied().refused_size() == 1);
  CHECK(world.LastApplied().refused(0).message() ==
        "this node cannot run fenced instances: its keeper does not enforce deadlines");
  CHECK(world.Runs("a"));
  CHECK(world.Seen<SetFences>().empty());
}

TEST_CASE("fence change: one that was accepted waits while the keeper cannot keep deadlines") {
  World world;
  world.Assign(Stated(true, 1));
  world.Reboot();
  world.enforces = {};
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  CHECK_FALSE(world.Runs("a"));
  world.DisconnectDriver();
  world.enforces = {"deadline"};
  world.ConnectDriver();
  world.Connect();
  CHECK(world.Runs("a"));
}

TEST_CASE("fence change: the token is in the app's environment") {
  World world;
  api::Assignment assignment = Stated(true, 1);
  assignment.set_fence_token(GENERATE(41, 0));
  world.Assign(assignment);
  std::string found;
  for (const auto& [name, value] : world.RunningOf("a").request.env) {
    if (name == "APPSUP_FENCE_TOKEN") found = value;
  }
  CHECK(found == (assignment.fence_token() == 0 ? "" : "41"));
}

TEST_CASE("fence change: a fenced instance waits for the one before it in its slot") {
  World world;
  world.stops = false;
  world.Assign(Stated(true, 1));
  world.Assign(With(Stated(true, 1), api::DESIRED_STATE_STOP, 2));
  api::Assignment next = RunAssignment("b");
  next.set_fenced(true);
  world.Assign(next);
  CHECK_FALSE(world.Runs("b"));
  world.Exit("a", 0, 15);
  CHECK(world.Runs("b"));
}

TEST_CASE(
    "fence change: a setup that its fence ended has an unknown outcome, and is not repeated") {
  World world;
  api::Assignment setup = Stated(true, 1);
  setup.set_setup(true);
  setup.mutable_spec()->mutable_setup()->add_command("migrate");
  world.Assign(setup);
  REQUIRE(world.RunningOf("a").request.fence.has_value());
  world.grants = false;
  world.Advance(absl::Seconds(9));
  world.grants = true;
  world.Grant();
  world.Advance(absl::Minutes(1));
  CHECK(world.started == 1);
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_FAILED);
  CHECK(world.StatusOf("a").exit().unknown());
  CHECK(world.StatusOf("a").message() ==
        "the outcome of setup is unknown: its fence ended it, because the lease was over");
}

}  // namespace
}  // namespace appsup::agent
