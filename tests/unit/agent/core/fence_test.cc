#include <catch2/catch.hpp>

#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr absl::Duration kLease = absl::Seconds(10);
constexpr absl::Duration kPeriod = absl::Seconds(3);  // Of heartbeats.

api::Assignment Fenced(const std::string& uid = "a", int64_t generation = 1) {
  api::Assignment assignment = RunAssignment(uid, generation);
  assignment.set_fenced(true);
  assignment.set_fence_token(41);
  return assignment;
}

api::Assignment OfSlot(int slot, api::Assignment assignment) {
  assignment.set_slot(slot);
  return assignment;
}

struct World : AgentWorld {
  World() {
    Boot();
    ConnectDriver();
    Connect();
  }
  void RestartAgent() {
    KillAgent();
    Boot();
    ConnectDriver();
  }
};

TEST_CASE("fence: the deadline is the lease's end, counted from when the heartbeat was sent") {
  World world;
  const absl::Duration sent = world.now.boot;
  world.grants = false;
  world.Advance(kPeriod);  // The second heartbeat goes out.
  world.now.boot += absl::Seconds(1);
  world.Grant();  // Its answer was one second under way.
  world.Assign(Fenced());
  REQUIRE(world.Runs("a"));
  const std::optional<Fence> fence = world.RunningOf("a").request.fence;
  REQUIRE(fence.has_value());
  CHECK(fence->deadline == sent + kPeriod + kLease);
}

TEST_CASE("fence: a check by command has no fence, which would be past when the check runs") {
  World world;
  world.Grant();
  api::Assignment assignment = Fenced();
  assignment.mutable_spec()->mutable_checks()->mutable_readiness()->mutable_exec()->add_command(
      "true");
  world.Assign(assignment);
  REQUIRE(world.Runs("a"));
  REQUIRE(world.RunningOf("a").request.fence.has_value());
  REQUIRE(world.Seen<StartCheck>().size() == 1);
  CHECK_FALSE(world.Seen<StartCheck>()[0].like.fence.has_value());
}

TEST_CASE("fence: the stop begins the grace period before, at most 30 % of the lease") {
  World world;
  api::Assignment assignment = Fenced();
  absl::Duration expected = absl::Seconds(3);
  SECTION("a long grace period") {}
  SECTION("a short one") {
    assignment.mutable_spec()->mutable_stop()->mutable_grace_period()->set_seconds(1);
    expected = absl::Seconds(1);
  }
  world.Assign(assignment);
  CHECK(world.RunningOf("a").request.fence->stop_before == expected);
}

TEST_CASE("fence: without a lease nothing fenced is started, and with the first grant it is") {
  AgentWorld world;
  world.grants = false;
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  world.Assign({Fenced("a"), OfSlot(1, RunAssignment("b"))});
  world.Advance(absl::Seconds(1));
  CHECK_FALSE(world.Runs("a"));
  CHECK(world.Runs("b"));
  CHECK(world.StatusOf("a").message() ==
        "Waits for a lease: the entry has granted none since the agent was started");
  CHECK_FALSE(world.StatusOf("a").has_next_attempt_time());
  CHECK(world.StatusOf("a").fenced());
  world.Grant();
  CHECK(world.Runs("a"));
  CHECK(world.RunningOf("a").request.fence.has_value());
}

TEST_CASE("fence: a lease that is nearly over starts nothing") {
  World world;
  world.grants = false;
  world.Advance(absl::Seconds(7));
  world.Assign(Fenced());
  CHECK_FALSE(world.Runs("a"));
  world.Grant();
  CHECK(world.Runs("a"));
}

TEST_CASE("fence: a grant that answers no heartbeat of the session is no lease") {
  AgentWorld world;
  world.grants = false;
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  world.Assign(Fenced());
  api::ConnectResponse grant;
  grant.mutable_lease_granted()->set_number(GENERATE(0, 7, -1));
  world.Say(grant);
  CHECK_FALSE(world.Runs("a"));
}

TEST_CASE("fence: each grant moves all fences in one effect, and nothing is stopped") {
  World world;
  world.Assign({Fenced("a"), OfSlot(1, Fenced("b")), OfSlot(2, RunAssignment("c"))});
  world.effects.clear();
  world.Advance(kPeriod);
  REQUIRE(world.Seen<SetFences>().size() == 1);
  const std::vector<FenceChange> changes = world.Seen<SetFences>()[0].changes;
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].id.instance_uid == "a");
  CHECK(changes[1].id.instance_uid == "b");
  CHECK(changes[0].fence->deadline == world.now.boot + kLease);
  world.Advance(absl::Minutes(10));
  CHECK(world.started == 3);
}

TEST_CASE("fence: it ends the process when the agent is gone, and it starts again under a lease") {
  World world;
  world.Assign(Fenced());
  world.Advance(absl::Seconds(1));
  SECTION("the agent is dead") { world.KillAgent(); }
  SECTION("the link is cut") { world.Disconnect(); }
  SECTION("the entry grants nothing") { world.grants = false; }
  SECTION("the keeper is out of reach") {
    world.DisconnectDriver();
    world.grants = false;
  }
  world.Advance(absl::Seconds(5));
  CHECK(world.Runs("a"));
  world.Advance(absl::Seconds(1));
  CHECK_FALSE(world.Runs("a"));
  world.Advance(absl::Minutes(1));
  world.grants = true;
  world.RestartAgent();
  CHECK_FALSE(world.Runs("a"));
  world.Connect();
  CHECK(world.Runs("a"));
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").attempt() == 2);
  CHECK(world.StatusOf("a").restarts() == 0);
}

TEST_CASE("fence: what it ends is no failure, whatever the policy says, and waits for a lease") {
  World world;
  api::Assignment assignment = Fenced();
  assignment.mutable_spec()->mutable_restart()->set_policy(
      GENERATE(api::RESTART_POLICY_ALWAYS, api::RESTART_POLICY_NEVER));
  world.Assign(assignment);
  world.grants = false;
  world.acks = true;
  world.Advance(absl::Seconds(8));
  CHECK_FALSE(world.Runs("a"));
  const api::InstanceStatus status = world.StatusOf("a");
  CHECK(status.state() == api::INSTANCE_STATE_STARTING);
  CHECK(status.message() ==
        "Waits for a lease: the last one has ended, and a fenced instance runs only under one");
  CHECK_FALSE(status.has_next_attempt_time());
  CHECK(status.restarts() == 0);
  CHECK(status.fenced());
  world.Grant();
  CHECK(world.Runs("a"));
}

TEST_CASE("fence: a crash under a lease is a crash") {
  World world;
  world.Assign(Fenced());
  world.Exit("a", 3);
  world.Advance(absl::Milliseconds(200));
  CHECK(world.StatusOf("a").has_next_attempt_time());
  world.Advance(absl::Seconds(3));
  CHECK(world.StatusOf("a").restarts() == 1);
  CHECK(world.RunningOf("a").request.fence.has_value());
}

TEST_CASE("fence: one that does not end by itself is killed at the deadline, and starts again") {
  World world;
  world.Assign(Fenced());
  world.stops = false;
  world.grants = false;
  world.Advance(absl::Milliseconds(9'900));
  CHECK(world.Runs("a"));
  world.Advance(absl::Milliseconds(200));
  CHECK_FALSE(world.Runs("a"));
  world.Grant();
  CHECK(world.Runs("a"));
  CHECK(world.started == 2);
}

TEST_CASE("fence: after a restart of the agent it goes on under the keeper's deadline") {
  World world;
  world.Assign(Fenced());
  world.grants = false;
  world.RestartAgent();
  world.Connect();
  world.effects.clear();
  world.Advance(absl::Seconds(1));
  CHECK(world.Runs("a"));
  CHECK(world.Seen<SetFences>().empty());
  CHECK(world.StatusOf("a").fenced());
  world.Grant();
  REQUIRE(world.Seen<SetFences>().size() == 1);
  CHECK(world.started == 1);
}

TEST_CASE("fence: after a restart of the machine it waits for a lease") {
  World world;
  world.Assign({Fenced("a"), OfSlot(1, RunAssignment("b"))});
  world.Reboot();
  world.Boot();
  world.ConnectDriver();
  world.Advance(absl::Minutes(1));
  CHECK_FALSE(world.Runs("a"));
  CHECK(world.Runs("b"));
  world.Connect();
  CHECK(world.Runs("a"));
}

TEST_CASE("fence: a Start that came too late is no failure") {
  World world;
  world.commits = false;  // A full disk, say.
  world.Assign(Fenced());
  world.grants = false;
  world.Advance(absl::Seconds(8));
  world.CommitAll();  // The Start goes out, and is refused.
  world.commits = true;
  world.CommitAll();
  CHECK_FALSE(world.Runs("a"));
  world.Grant();
  CHECK(world.Runs("a"));
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").restarts() == 0);
  CHECK_FALSE(world.StatusOf("a").has_start_failure_time());
}

TEST_CASE("fence: a slow disk does not keep fences from being moved") {
  World world;
  world.Assign(Fenced());
  world.commits = false;
  world.Handle(JournalStalled{"disk is full"});
  world.Advance(absl::Minutes(2));
  CHECK(world.Runs("a"));
  CHECK(world.started == 1);
}

TEST_CASE("fence: it dies with the keeper, and is started anew") {
  World world;
  world.Assign(Fenced());
  world.KillKeeper();
  CHECK_FALSE(world.Runs("a"));
  world.ConnectDriver();
  CHECK(world.Runs("a"));
  CHECK(world.RunningOf("a").request.fence.has_value());
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").restarts() == 0);
}

TEST_CASE("fence: while the keeper is out of reach grants are kept, and told when it is back") {
  World world;
  world.Assign(Fenced());
  world.DisconnectDriver();
  world.Advance(absl::Seconds(4));
  world.ConnectDriver();
  world.Advance(absl::Minutes(1));
  CHECK(world.started == 1);
}

TEST_CASE("fence: a stopping process keeps it, and its grace is not cut short") {
  World world;
  world.Assign(Fenced());
  world.stops = false;
  world.Assign(With(Fenced(), api::DESIRED_STATE_STOP, 2));
  world.Advance(absl::Seconds(25));
  CHECK(world.Runs("a"));
  world.grants = false;
  world.Advance(absl::Seconds(11));
  CHECK_FALSE(world.Runs("a"));
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_EXITED);
}

TEST_CASE("fence: removal without a word of fences lifts none") {
  World world;
  world.Assign(Fenced());
  world.stops = false;
  api::Assignment removal;
  removal.set_uid("a");
  removal.set_generation(2);
  removal.set_desired(api::DESIRED_STATE_REMOVE);
  world.Assign(removal);
  CHECK(world.RunningOf("a").fence.has_value());
}

}  // namespace
}  // namespace appsup::agent
