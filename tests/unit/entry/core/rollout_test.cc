#include "entry/core/rollout.h"

#include <catch2/catch.hpp>

#include "entry/core/instance_facts.h"
#include "tests/support/rollout_stage.h"

namespace appsup::entry {
namespace {

using Stage = RolloutStage;
constexpr auto Spec = RolloutSpec;

TEST_CASE("rollout: a new app starts in every slot and its operation ends") {
  Stage stage(2);
  stage.AddApp("web", Spec(3));
  stage.Run();
  CHECK(stage.Serving("web") == 3);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.status("web").ready_replicas() == 3);
  CHECK(stage.status("web").endpoints_size() == 3);
  CHECK(stage.status("web").current_revision() == 1);
  CHECK(stage.app("web").good_revision() == 1);
  CHECK(stage.op("web").done());
  CHECK(stage.op("web").has_response());
  CHECK(stage.op("web").progress().step() == 3);
  for (const char* type : {"Placed", "Ready", "UpToDate", "Reachable"}) {
    REQUIRE(stage.condition("web", type) != nullptr);
    CHECK(stage.condition("web", type)->status() == api::CONDITION_STATUS_TRUE);
  }
}

TEST_CASE("rollout: instances are named by environment and slot, with uids of their own") {
  Stage stage;
  stage.AddApp("web", Spec(2));
  stage.Run();
  const auto all = stage.instances("web");
  REQUIRE(all.size() == 2);
  CHECK(all[0].instance().name().starts_with("projects/default/apps/web/instances/eu-0-"));
  CHECK(all[1].instance().name().starts_with("projects/default/apps/web/instances/eu-1-"));
  CHECK(all[0].instance().uid() != all[1].instance().uid());
}

TEST_CASE("rollout: without news nothing is changed and nothing is said") {
  Stage stage;
  stage.AddApp("web", Spec(2));
  stage.Run();
  const size_t said = stage.agent("n1").received.size();
  stage.dirty.App(EntryStage::AppName("web"));
  stage.dirty.Node("nodes/n1");
  const int64_t index = stage.catalog.last_index();
  stage.Run();
  CHECK(stage.catalog.last_index() == index);
  CHECK(stage.agent("n1").received.size() == said);
}

TEST_CASE("rollout: what cannot be placed says why, and is placed when there is room") {
  Stage stage;
  api::AppSpec large = Spec(1);
  large.mutable_resources()->mutable_memory_bytes()->set_reserve(int64_t{3} << 30);
  stage.AddApp("one", large);
  stage.AddApp("two", large);
  stage.Run();
  CHECK(stage.status("two").state() == api::APP_STATE_PENDING);
  const api::Condition* placed = stage.condition("two", "Placed");
  REQUIRE(placed != nullptr);
  CHECK(placed->status() == api::CONDITION_STATUS_FALSE);
  CHECK(placed->reason() == "Unplaced");
  CHECK(placed->message() ==
        "1 of 1 slot cannot be placed: environment eu has 1 node; 1 has under 3 GiB free.");
  CHECK(stage.op("two").progress().message() == placed->message());
  SECTION("another app goes") {
    stage.Delete("one", false);
    stage.Run();
  }
  SECTION("another node comes") {
    stage.AddNode("n2");
    stage.Run();
  }
  CHECK(stage.status("two").state() == api::APP_STATE_RUNNING);
  CHECK(stage.op("two").done());
}

TEST_CASE("rollout: a rolling update keeps every slot served and runs at most one more") {
  Stage stage(2);
  stage.AddApp("web", Spec(3));
  stage.Run();
  stage.Update("web", true, EditCommand);
  int least = 3;
  size_t most = 0;
  stage.on_round = [&] {
    least = std::min(least, stage.Serving("web"));
    const auto all = stage.instances("web");
    most = std::max(most, static_cast<size_t>(std::count_if(
                              all.begin(), all.end(), [](const auto& r) { return !HasEnded(r); })));
  };
  stage.Run();
  CHECK(least == 3);
  CHECK(most == 4);
  CHECK(stage.instances("web").size() == 3);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 3);
  CHECK(stage.app("web").good_revision() == 2);
  CHECK(stage.op("web").done());
  CHECK(stage.op("web").has_response());
}

TEST_CASE("rollout: max_unavailable instead of surge stops before it starts") {
  Stage stage;
  api::AppSpec spec = Spec(4);
  spec.mutable_update()->set_max_surge(0);
  spec.mutable_update()->set_max_unavailable(2);
  stage.AddApp("web", spec);
  stage.Run();
  stage.Update("web", true, EditCommand);
  int least = 4;
  size_t most = 0;
  stage.on_round = [&] {
    least = std::min(least, stage.Serving("web"));
    most = std::max(most, stage.instances("web").size());
  };
  stage.Run();
  CHECK(least == 2);
  CHECK(most == 4);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 4);
}

TEST_CASE("rollout: a fixed port on the only node cannot surge: the old one stops first") {
  Stage stage;
  api::AppSpec spec = Spec(1);
  spec.mutable_ports(0)->set_number(8080);
  stage.AddApp("web", spec);
  stage.Run();
  stage.Update("web", true, EditCommand);
  std::string note;
  size_t most = 0;
  stage.on_round = [&] {
    const api::Condition* condition = stage.condition("web", "UpToDate");
    if (condition->message().find("Port 8080") != std::string::npos) note = condition->message();
    most = std::max(most, stage.instances("web").size());
  };
  stage.Run();
  CHECK(most == 1);
  CHECK(note.find("the old instance stops before the new one starts") != std::string::npos);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 1);
}

TEST_CASE("rollout: recreate stops everything old before anything new starts") {
  Stage stage(2);
  api::AppSpec spec = Spec(3);
  spec.mutable_update()->set_strategy(api::UPDATE_STRATEGY_RECREATE);
  stage.AddApp("web", spec);
  stage.Run();
  stage.agent("n1").slow_to_stop.insert(EntryStage::AppName("web"));
  stage.Update("web", true, EditCommand);
  stage.Run();
  CHECK(stage.Count("web", api::INSTANCE_STATE_STOPPING, 1) > 0);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 0);
  CHECK(stage.status("web").state() == api::APP_STATE_UPDATING);
  stage.agent("n1").slow_to_stop.clear();
  stage.agent("n1").Nudge();
  stage.Run();
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 3);
  CHECK(stage.instances("web").size() == 3);
}

TEST_CASE("rollout: an update that fails goes back, and is not tried again") {
  Stage stage(2);
  api::AppSpec spec = Spec(2);
  spec.mutable_update()->set_strategy(
      GENERATE(api::UPDATE_STRATEGY_ROLLING, api::UPDATE_STRATEGY_RECREATE));
  stage.AddApp("web", spec);
  stage.Run();
  stage.Behave(2, GENERATE(Behaviour::kCrashes, Behaviour::kFails, Behaviour::kIsRefused,
                           Behaviour::kLacksCode));
  stage.Update("web", true, EditCommand);
  stage.Run();
  CHECK(stage.app("web").target_revision() == 1);
  CHECK(stage.app("web").failed_revision() == 2);
  CHECK(stage.Serving("web") == 2);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 1) == 2);
  CHECK(stage.instances("web").size() == 2);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.condition("web", "UpToDate")->reason() == "RolledBack");
  REQUIRE(stage.op("web").done());
  REQUIRE(stage.op("web").has_error());
  CHECK(stage.op("web").error().message().find("rolled back to revision 1") != std::string::npos);
  const size_t started = stage.agent("n1").started.size();
  stage.Advance(absl::Hours(1));
  CHECK(stage.agent("n1").started.size() == started);
}

TEST_CASE("rollout: an update without progress fails at its deadline") {
  Stage stage;
  stage.AddApp("web", Spec(1));
  stage.Run();
  stage.Behave(2, Behaviour::kNeverReady);
  stage.Update("web", true, [](api::AppSpec& spec) {
    EditCommand(spec);
    spec.mutable_update()->mutable_progress_deadline()->set_seconds(60);
  });
  stage.Run();
  stage.Advance(absl::Seconds(5));
  CHECK_FALSE(stage.op("web").done());
  CHECK(stage.status("web").state() == api::APP_STATE_UPDATING);
  for (int i = 0; i < 12; ++i) {
    stage.Beat();
    stage.Advance(absl::Seconds(5));
  }
  REQUIRE(stage.op("web").done());
  CHECK(stage.op("web").error().code() == static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  CHECK(stage.op("web").error().message().find("runs, but is not ready") != std::string::npos);
  CHECK(stage.app("web").target_revision() == 1);
  CHECK(stage.instances("web").size() == 1);
  CHECK(stage.Serving("web") == 1);
}

TEST_CASE("rollout: without auto_rollback a failed update stays, and its operation says why") {
  Stage stage;
  api::AppSpec spec = Spec(1);
  spec.mutable_update()->set_auto_rollback(false);
  stage.AddApp("web", spec);
  stage.Run();
  stage.Behave(2, Behaviour::kFails);
  stage.Update("web", true, EditCommand);
  stage.Run();
  CHECK(stage.app("web").target_revision() == 2);
  REQUIRE(stage.op("web").has_error());
  CHECK(stage.op("web").error().message().find("command not found: nginx") != std::string::npos);
  CHECK(stage.Serving("web") == 1);  // The old one goes only when the new one is ready.
}

TEST_CASE("rollout: a first start that fails ends the operation; a later change is tried") {
  Stage stage;
  stage.Behave(1, Behaviour::kFails);
  stage.AddApp("web", Spec(1));
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_FAILED);
  REQUIRE(stage.op("web").has_error());
  CHECK(stage.status("web").last_failure().reason().find("command not found") != std::string::npos);
  stage.Update("web", true, EditCommand);
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.app("web").good_revision() == 2);
  CHECK(stage.instances("web").size() == 1);
  CHECK(stage.status("web").last_failure().reason().find("command not found") != std::string::npos);
}

TEST_CASE("rollout: an app that keeps ending is backing off and says when it is tried again") {
  Stage stage;
  stage.Behave(1, Behaviour::kCrashes);
  stage.AddApp("web", Spec(1));
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_BACKING_OFF);
  CHECK(stage.status("web").next_attempt_time().seconds() == 1'700'000'060);
  CHECK(stage.status("web").last_failure().log_tail(0) == "no such table");
  CHECK(stage.condition("web", "Ready")->reason() == "BackingOff");
}

TEST_CASE("rollout: a first start without its code fails at once and says why") {
  Stage stage;
  stage.Behave(1, Behaviour::kLacksCode);
  stage.AddApp("web", Spec(1));
  stage.Run();
  REQUIRE(stage.op("web").has_error());
  CHECK(stage.op("web").error().code() == static_cast<int>(absl::StatusCode::kFailedPrecondition));
  CHECK(stage.op("web").error().message().find("HTTP status 404") != std::string::npos);
  CHECK(stage.status("web").state() == api::APP_STATE_BACKING_OFF);
  CHECK(stage.condition("web", "ArtifactReady")->reason() == "ArtifactUnusable");
  stage.Behave(1, Behaviour::kReady);
  stage.agent("n1").Nudge();
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
}

TEST_CASE("rollout: a job that ended well counts as done") {
  Stage stage;
  stage.Behave(1, Behaviour::kCompletes);
  api::AppSpec spec = Spec(1);
  spec.mutable_restart()->set_policy(api::RESTART_POLICY_ON_FAILURE);
  stage.AddApp("job", spec);
  stage.Run();
  CHECK(stage.op("job").has_response());
  CHECK(stage.status("job").state() == api::APP_STATE_STOPPED);
  CHECK(stage.condition("job", "Ready")->reason() == "Completed");
}

TEST_CASE("rollout: 1,000 slots of one app come up with few looks at it") {
  Stage stage(4);
  api::AppSpec spec = Spec(1000);
  spec.mutable_resources()->mutable_memory_bytes()->set_reserve(1 << 20);
  stage.AddApp("web", spec);
  stage.Run();
  CHECK(stage.Serving("web") == 1000);
  CHECK(stage.op("web").done());
  CHECK(stage.apps_reconciled < 30);
}

}  // namespace
}  // namespace appsup::entry
