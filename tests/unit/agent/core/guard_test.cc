#include <catch2/catch.hpp>

#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr char kForeign[] = "the position of this node is not on the history of this catalog";

api::Position At(const std::string& timeline, int64_t index) {
  api::Position position;
  position.set_catalog_uid("catalog-" + timeline);
  position.set_timeline(timeline);
  position.set_log_index(index);
  return position;
}

api::Assignment OfSlot(int slot, api::Assignment assignment) {
  assignment.set_slot(slot);
  return assignment;
}

// Runs "a" for the catalog of t1.
struct World : AgentWorld {
  World() {
    position = At("t1", 7);
    Boot();
    ConnectDriver();
    Connect();
    Assign(RunAssignment("a", 5));
  }
  // Another catalog speaks, that does not know this node's position.
  void MeetForeign() {
    if (connection != 0) Disconnect();
    position.reset();
    welcome.set_guard(kForeign);
    Connect("t9", 1);
  }
  void RestartAgent() {
    KillAgent();
    Boot();
    ConnectDriver();
  }
  std::string Refusal() const {
    const api::AssignmentsApplied applied = LastApplied();
    return applied.refused_size() == 0 ? "" : applied.refused(0).message();
  }
};

struct GuardedWorld : World {
  GuardedWorld() { MeetForeign(); }
};

TEST_CASE("guard: a foreign catalog latches it, in the journal, until it is accepted") {
  World world;
  CHECK_FALSE(world.LastHello().guarded());
  world.MeetForeign();
  CHECK(world.core->figures().guarded);
  CHECK(world.DurableNode().guard() == kForeign);
  world.RestartAgent();
  world.welcome.clear_guard();  // Even if that entry thinks nothing of it.
  world.Connect("t9", 1);
  CHECK(world.LastHello().guarded());
  CHECK(world.core->figures().guarded);
}

TEST_CASE("guard: nothing is stopped, removed, changed or restarted, and the answer says why") {
  GuardedWorld world;
  api::Assignment statement = RunAssignment("a", 6);
  SECTION("stopped") { statement.set_desired(api::DESIRED_STATE_STOP); }
  SECTION("removed") { statement.set_desired(api::DESIRED_STATE_REMOVE); }
  SECTION("removed with its data") {
    statement.set_desired(api::DESIRED_STATE_REMOVE);
    statement.set_purge_data(true);
  }
  SECTION("changed") { (*statement.mutable_spec()->mutable_env())["A"] = "b"; }
  SECTION("restarted") { statement.set_restart_nonce(4); }
  SECTION("fenced") { statement.set_fenced(true); }
  SECTION("made a setup") {
    statement.set_setup(true);
    statement.mutable_spec()->mutable_setup()->add_command("migrate");
  }
  world.effects.clear();
  world.Assign(statement);
  world.Advance(absl::Minutes(2));
  CHECK(world.Runs("a"));
  CHECK(world.started == 1);
  CHECK(world.RunningOf("a").told_to_stop == false);
  CHECK(world.Seen<SetFences>().empty());
  CHECK(world.Seen<RemoveFolders>().empty());
  REQUIRE(world.LastApplied().refused_size() == 1);
  CHECK(world.LastApplied().refused(0).generation() == 6);
  CHECK(world.Refusal().starts_with("the freshness guard is on"));
  CHECK(world.Refusal().find(kForeign) != std::string::npos);
}

TEST_CASE("guard: data of an instance that is not held is not purged either") {
  GuardedWorld world;
  api::Assignment removal = RunAssignment("gone");
  removal.set_desired(api::DESIRED_STATE_REMOVE);
  removal.set_purge_data(true);
  world.Assign(removal);
  CHECK(world.Refusal().starts_with("the freshness guard is on"));
  CHECK(world.Seen<RemoveFolders>().empty());
}

TEST_CASE("guard: the same once more is taken, and does nothing") {
  GuardedWorld world;
  world.Assign(RunAssignment("a", 6));
  world.Advance(absl::Seconds(1));
  CHECK(world.Refusal().empty());
  CHECK(world.StatusOf("a").generation() == 6);
  CHECK(world.started == 1);
}

TEST_CASE("guard: something may be added") {
  GuardedWorld world;
  world.Assign(OfSlot(1, RunAssignment("b")));
  CHECK(world.Refusal().empty());
  CHECK(world.Runs("b"));
}

TEST_CASE("guard: what is added waits while another has its slot") {
  GuardedWorld world;
  world.Assign(RunAssignment("b"));
  world.Advance(absl::Minutes(1));
  CHECK(world.Refusal().empty());
  CHECK_FALSE(world.Runs("b"));
  CHECK(world.StatusOf("b").message().find("which has the same slot") != std::string::npos);
  SECTION("until the catalog is accepted and removes the other") {
    world.Disconnect();
    world.welcome.clear_guard();
    world.welcome.set_catalog_accepted(true);
    world.Connect("t9", 1);
    world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_REMOVE, 6));
    world.Advance(absl::Seconds(1));
    CHECK(world.Runs("b"));
    CHECK_FALSE(world.Runs("a"));
  }
}

TEST_CASE("guard: nothing fenced is started, whatever the lease, but what runs goes on") {
  World world;
  api::Assignment fenced = OfSlot(2, RunAssignment("f"));
  fenced.set_fenced(true);
  world.Assign(fenced);
  world.MeetForeign();
  api::Assignment added = OfSlot(3, RunAssignment("g"));
  added.set_fenced(true);
  world.Assign(added);
  world.Advance(absl::Minutes(1));
  CHECK(world.Runs("f"));
  CHECK_FALSE(world.Runs("g"));
  CHECK(world.StatusOf("g").message().starts_with("Waits for an operator"));
  world.Disconnect();
  world.welcome.clear_guard();
  world.welcome.set_catalog_accepted(true);
  world.Connect("t9", 1);
  world.Advance(absl::Seconds(4));
  CHECK(world.Runs("g"));
  CHECK(world.started == 3);
}

TEST_CASE("guard: crashed apps are restarted, and checks go on") {
  GuardedWorld world;
  world.Exit("a", 1);
  world.Advance(absl::Seconds(3));
  CHECK(world.Runs("a"));
  CHECK(world.StatusOf("a").restarts() == 1);
}

TEST_CASE("guard: neither position nor timelines move") {
  World world;
  const auto before = world.DurableNode();
  REQUIRE(before.position().log_index() == 7);
  world.MeetForeign();
  world.position = At("t9", 900);  // An entry that should not have said it.
  world.Assign(OfSlot(1, RunAssignment("b")));
  const auto after = world.DurableNode();
  CHECK(after.position().log_index() == 7);
  CHECK(after.position().timeline() == "t1");
  REQUIRE(after.timelines_size() == 1);
  CHECK(after.timelines(0).timeline() == "t1");
  world.Disconnect();
  world.LinkUpOnly();
  CHECK(world.LastHello().position().log_index() == 7);
}

TEST_CASE("guard: an accepted catalog ends it: its position and timeline, and no other, hold") {
  GuardedWorld world;
  world.Disconnect();
  world.welcome.clear_guard();
  world.welcome.set_catalog_accepted(true);
  *world.welcome.mutable_position() = At("t9", 3);
  world.Connect("t9", 2);
  CHECK_FALSE(world.core->figures().guarded);
  const auto node = world.DurableNode();
  CHECK(node.guard().empty());
  CHECK(node.position().timeline() == "t9");
  CHECK(node.position().log_index() == 3);
  REQUIRE(node.timelines_size() == 1);
  CHECK(node.timelines(0).timeline() == "t9");
  CHECK(node.timelines(0).epoch() == 2);
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_REMOVE, 6));
  world.Advance(absl::Seconds(1));
  CHECK_FALSE(world.Runs("a"));
  world.Disconnect();
  world.LinkUpOnly();
  CHECK_FALSE(world.LastHello().guarded());
}

TEST_CASE("guard: a deposed leader of the known history is not obeyed under it either") {
  World world;
  world.Disconnect();
  world.Connect("t2", 2);
  world.MeetForeign();
  world.Disconnect();
  world.welcome.set_guard(GENERATE("", kForeign));
  world.welcome.set_catalog_accepted(world.welcome.guard().empty());
  world.Connect("t1", 1);
  CHECK_FALSE(world.core->figures().connected);
  CHECK(world.core->figures().guarded);
}

TEST_CASE("guard: a journal that was lost while apps run latches it, before anything is said") {
  World world;
  world.KillAgent();
  world.LoseJournal();
  world.Boot();
  world.ConnectDriver();
  CHECK(world.core->figures().guarded);
  world.Connect();
  CHECK(world.LastHello().guarded());
  CHECK(world.LastHello().position().catalog_uid().empty());
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_STOP, 9));
  CHECK(world.Runs("a"));
  CHECK(world.Refusal().find("the journal of this node was lost while 1 instances ran on it") !=
        std::string::npos);
}

TEST_CASE("guard: a journal that was lost when nothing ran latches nothing") {
  World world;
  world.Reboot();
  world.LoseJournal();
  world.Boot();
  world.ConnectDriver();
  CHECK_FALSE(world.core->figures().guarded);
}

TEST_CASE("guard: before the keeper is met, a lost journal stops nothing, and tells soon") {
  World world;
  world.KillAgent();
  world.LoseJournal();
  world.Boot();
  world.Connect("t1", 1);
  world.Advance(absl::Seconds(4));  // Hello does not wait longer for the keeper.
  world.Welcome();
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_REMOVE, 9));
  CHECK(world.Refusal().starts_with("this node does not know yet what runs on it"));
  CHECK_FALSE(world.DurableNode().has_position());
  world.ConnectDriver();
  CHECK(world.core->figures().guarded);
  CHECK(world.Seen<CloseLink>().size() == 1);
  CHECK(world.Runs("a"));
  world.Connect();
  CHECK(world.LastHello().guarded());
}

}  // namespace
}  // namespace appsup::agent
