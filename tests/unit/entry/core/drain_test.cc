#include <catch2/catch.hpp>

#include "entry/core/instance_facts.h"
#include "tests/support/entry_stage.h"

namespace appsup::entry {
namespace {

api::AppSpec Spec(int replicas, int64_t memory = int64_t{128} << 20) {
  api::AppSpec spec;
  spec.set_replicas(replicas);
  spec.mutable_placement()->add_environments("eu");
  spec.mutable_runtime()->mutable_process()->add_command("serve");
  spec.mutable_resources()->mutable_memory_bytes()->set_reserve(memory);
  return spec;
}

struct Stage : EntryStage {
  explicit Stage(int nodes) {
    AddEnvironment("eu");
    for (int i = 1; i <= nodes; ++i) AddNode("n" + std::to_string(i));
    Run();
  }

  int On(const std::string& id, const std::string& node) const {
    int count = 0;
    for (const auto& record : instances(id)) count += record.instance().node() == node;
    return count;
  }

  int Serving(const std::string& id) const {
    int count = 0;
    for (const auto& record : instances(id)) count += IsServing(record);
    return count;
  }

  api::NodeState StateOf(const std::string& node) const {
    return catalog.nodes.Find("nodes/" + node)->node().status().state();
  }
};

TEST_CASE("drain: instances move before they stop, then the operation ends") {
  Stage stage(2);
  stage.AddApp("web", Spec(4));
  stage.Run();
  REQUIRE(stage.On("web", "n1") == 2);
  stage.Drain("n1");
  int least = 4;
  stage.on_round = [&] { least = std::min(least, stage.Serving("web")); };
  stage.Run();
  CHECK(least >= 4);
  CHECK(stage.On("web", "n1") == 0);
  CHECK(stage.On("web", "n2") == 4);
  CHECK(stage.StateOf("n1") == api::NODE_STATE_DRAINED);
  const api::Operation& operation = stage.operation("nodes/n1");
  CHECK(operation.has_response());
  CHECK(operation.progress().steps() >= 2);
  CHECK(operation.progress().step() == operation.progress().steps());
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
}

TEST_CASE("drain: a drained node gets nothing until it is resumed") {
  Stage stage(2);
  stage.Drain("n1");
  stage.Run();
  stage.AddApp("web", Spec(2));
  stage.Run();
  CHECK(stage.On("web", "n1") == 0);
  stage.Drain("n1", false);
  stage.Run();
  CHECK(stage.StateOf("n1") == api::NODE_STATE_READY);
  stage.AddApp("two", Spec(2));
  stage.Run();
  CHECK(stage.On("two", "n1") == 1);
}

TEST_CASE("drain: what has nowhere to go stays, and the operation says why until there is room") {
  Stage stage(2);
  stage.AddApp("web", Spec(2, int64_t{3} << 30));
  stage.Run();
  stage.Drain("n1");
  stage.Run();
  CHECK(stage.Serving("web") == 2);
  CHECK(stage.StateOf("n1") == api::NODE_STATE_DRAINING);
  const std::string message = stage.operation("nodes/n1").progress().message();
  CHECK(message.find("cannot leave: environment eu has 2 nodes; 1 has under 3 GiB free, 1 is "
                     "draining") != std::string::npos);
  CHECK_FALSE(stage.operation("nodes/n1").done());
  stage.AddNode("n3");
  stage.Run();
  CHECK(stage.On("web", "n3") == 1);
  CHECK(stage.StateOf("n1") == api::NODE_STATE_DRAINED);
  CHECK(stage.operation("nodes/n1").has_response());
}

TEST_CASE("drain: nowhere to go for too long ends the operation with an error") {
  Stage stage(1);
  stage.AddApp("web", Spec(1));
  stage.Run();
  stage.Drain("n1");
  stage.Run();
  for (int i = 0; i < 130; ++i) {
    stage.Beat();
    stage.Advance(absl::Seconds(5));
  }
  REQUIRE(stage.operation("nodes/n1").has_error());
  CHECK(stage.operation("nodes/n1").error().code() ==
        static_cast<int>(absl::StatusCode::kDeadlineExceeded));
  CHECK(stage.Serving("web") == 1);
}

TEST_CASE("drain: node data cannot move; the rest does, and the operation names it") {
  Stage stage(2);
  api::AppSpec spec = Spec(2);
  spec.mutable_data()->set_kind(api::DATA_KIND_NODE);
  stage.AddApp("db", spec);
  stage.AddApp("web", Spec(2));
  stage.Run();
  stage.Drain("n1");
  stage.Run();
  CHECK(stage.On("db", "n1") == 1);
  CHECK(stage.On("web", "n1") == 0);
  CHECK(stage.StateOf("n1") == api::NODE_STATE_DRAINED);
  REQUIRE(stage.operation("nodes/n1").has_error());
  CHECK(stage.operation("nodes/n1").error().message().find("its data is on this node") !=
        std::string::npos);
  CHECK(stage.status("db").state() == api::APP_STATE_RUNNING);
}

TEST_CASE("drain: a stopped app starts elsewhere the next time") {
  Stage stage(2);
  stage.AddApp("web", Spec(1));
  stage.Run();
  const std::string home = stage.instances("web")[0].instance().node();
  stage.Update("web", false,
               [](api::AppSpec& spec) { spec.set_run_state(api::RUN_STATE_STOPPED); });
  stage.Run();
  stage.Drain(home);
  stage.Run();
  CHECK(stage.operation("nodes/" + home).has_response());
  stage.Update("web", false,
               [](api::AppSpec& spec) { spec.set_run_state(api::RUN_STATE_RUNNING); });
  stage.Run();
  REQUIRE(stage.instances("web").size() == 1);
  CHECK(stage.instances("web")[0].instance().node() != home);
  CHECK(stage.Serving("web") == 1);
}

TEST_CASE("drain: an app that recreates moves only if there is somewhere to go") {
  Stage stage(2);
  api::AppSpec spec = Spec(1, int64_t{3} << 30);
  spec.mutable_update()->set_strategy(api::UPDATE_STRATEGY_RECREATE);
  stage.AddApp("web", spec);
  stage.Run();
  const std::string home = stage.instances("web")[0].instance().node();
  const std::string other = home == "n1" ? "n2" : "n1";
  stage.AddApp("full", Spec(1, int64_t{3} << 30));
  stage.Run();
  stage.Drain(home);
  stage.Run();
  CHECK(stage.Serving("web") == 1);
  CHECK(stage.On("web", home) == 1);
  stage.Delete("full", true);
  stage.Run();
  CHECK(stage.On("web", other) == 1);
  CHECK(stage.Serving("web") == 1);
}

}  // namespace
}  // namespace appsup::entry
