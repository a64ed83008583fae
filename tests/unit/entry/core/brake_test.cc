#include <memory>
#include <string>
#include <vector>

#include "appsupervisor/v1/environment_service.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "catch2/catch.hpp"
#include "common/status.h"
#include "entry/core/disconnect.h"
#include "google/protobuf/empty.pb.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

// The brake of an environment, and what fences ask of operators, through the API.
namespace appsup::entry {
namespace {

struct Stage {
  explicit Stage(int nodes) {
    entry.AddEnvironment("eu");
    for (int i = 1; i <= nodes; ++i) {
      const std::string id = "n" + std::to_string(i);
      entry.AddNode(id, "eu");
      agents.push_back(std::make_unique<PlayedAgent>(entry, id));
    }
  }

  void AddFencedApp(int replicas) {
    api::CreateAppRequest request = NewApp("web");
    api::AppSpec& spec = *request.mutable_app()->mutable_spec();
    spec.set_replicas(replicas);
    spec.mutable_disconnect()->set_at_lease_end(api::AT_LEASE_END_STOP);
    spec.mutable_disconnect()->set_replace(api::REPLACE_AFTER_STOP);
    REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", request).ok());
    Run();
  }

  void Run() {
    for (auto& agent : agents) agent->Run();
  }

  // Only the first `alive` nodes are heard.
  void Pass(absl::Duration time, size_t alive) {
    for (absl::Duration passed; passed < time; passed += absl::Seconds(1)) {
      entry.Advance(absl::Seconds(1));
      for (size_t i = 0; i < alive; ++i) agents[i]->Beat();
      for (size_t i = 0; i < alive; ++i) agents[i]->Run();
    }
  }
  void Lose(size_t alive) {
    for (size_t i = alive; i < agents.size(); ++i) agents[i]->Disconnect();
    Pass(entry.options.lease + absl::Seconds(1), alive);
  }

  absl::StatusOr<api::Environment> Release() {
    api::ReleaseBrakeRequest request;
    request.set_name("environments/eu");
    return entry.Call<api::Environment>("EnvironmentService/ReleaseBrake", request);
  }
  api::Environment Environment() {
    api::GetEnvironmentRequest request;
    request.set_name("environments/eu");
    return *entry.Call<api::Environment>("EnvironmentService/GetEnvironment", request);
  }
  absl::Status SetShare(double share) {
    api::UpdateEnvironmentRequest request;
    request.mutable_environment()->set_name("environments/eu");
    request.mutable_environment()->mutable_brake()->set_share(share);
    request.mutable_environment()->mutable_brake()->set_released(true);
    request.mutable_update_mask()->add_paths("brake");
    return entry.Call<api::Environment>("EnvironmentService/UpdateEnvironment", request).status();
  }
  int Ready() { return GetApp(entry, "web")->status().ready_replicas(); }

  CoreHarness entry;
  std::vector<std::unique_ptr<PlayedAgent>> agents;
};

TEST_CASE("brake: an operator releases it, and the replacements go on") {
  Stage stage(4);
  stage.AddFencedApp(4);
  REQUIRE(stage.Ready() == 4);
  stage.Lose(1);
  stage.Pass(absl::Seconds(30), 1);
  CHECK(stage.Ready() == 1);
  CHECK(stage.Environment().status().brake_engaged());
  CHECK(stage.Environment().status().lost_nodes() == 3);
  SECTION("by an entry that was restarted meanwhile") {
    stage.entry.Restart();
    stage.agents[0]->Connect();
    stage.Pass(absl::Seconds(30), 1);
    CHECK(stage.Environment().status().brake_engaged());
  }
  SECTION("by the same one") {}
  const auto released = stage.Release();
  REQUIRE(released.ok());
  CHECK(released->brake().released());
  CHECK_FALSE(released->status().brake_engaged());
  stage.Pass(absl::Seconds(5), 1);
  CHECK(stage.Ready() == 4);
  // The release holds for this loss, not for the next one.
  CHECK_FALSE(stage.Environment().brake().released());
}

TEST_CASE("brake: there is nothing to release while it is not engaged") {
  Stage stage(2);
  CHECK(ErrorReason(stage.Release().status()) == "BRAKE_NOT_ENGAGED");
}

TEST_CASE("brake: operators set its share, not whether it is released") {
  Stage stage(4);
  CHECK(absl::IsInvalidArgument(stage.SetShare(1.5)));
  CHECK(absl::IsInvalidArgument(stage.SetShare(-0.1)));
  REQUIRE(stage.SetShare(1).ok());
  CHECK_FALSE(stage.Environment().brake().released());
  stage.AddFencedApp(4);
  stage.Lose(1);
  stage.Pass(absl::Seconds(5), 1);
  CHECK(stage.Ready() == 4);
}

TEST_CASE("fences: a node is not deleted while its lease may keep a fenced instance alive") {
  Stage stage(2);
  stage.AddFencedApp(2);
  api::RevokeNodeRequest revoke;
  revoke.set_name("nodes/n2");
  REQUIRE(stage.entry.Call<api::Node>("NodeService/RevokeNode", revoke).ok());
  stage.agents[1]->Run();
  api::DeleteNodeRequest remove;
  remove.set_name("nodes/n2");
  const auto refused = stage.entry.Call<google::protobuf::Empty>("NodeService/DeleteNode", remove);
  CHECK(ErrorReason(refused.status()) == "NODE_LEASE_RUNS");
  CHECK(stage.Ready() == 1);
  stage.Pass(stage.entry.options.lease + FenceMargin(stage.entry.options) + absl::Seconds(1), 1);
  CHECK(stage.entry.Call<google::protobuf::Empty>("NodeService/DeleteNode", remove).ok());
  stage.Pass(absl::Seconds(1), 1);
  CHECK(stage.Ready() == 2);
}

}  // namespace
}  // namespace appsup::entry
