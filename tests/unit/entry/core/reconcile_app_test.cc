#include "entry/core/reconcile.h"

#include <catch2/catch.hpp>

#include "entry/core/instance_facts.h"
#include "tests/support/rollout_stage.h"

namespace appsup::entry {
namespace {

using Stage = RolloutStage;
constexpr auto Spec = RolloutSpec;

TEST_CASE("rollout: scaling down removes the highest slots, scaling to 0 all of them") {
  Stage stage;
  stage.AddApp("web", Spec(4));
  stage.Run();
  stage.Update(
      "web", false, [](api::AppSpec& spec) { spec.set_replicas(2); }, "SCALE");
  stage.Run();
  REQUIRE(stage.instances("web").size() == 2);
  for (const auto& record : stage.instances("web")) CHECK(record.instance().slot() < 2);
  CHECK(stage.op("web").has_response());
  CHECK(stage.agent("n1").held.size() == 2);
  stage.Update(
      "web", false, [](api::AppSpec& spec) { spec.set_replicas(0); }, "SCALE");
  stage.Run();
  CHECK(stage.instances("web").empty());
  CHECK(stage.status("web").state() == api::APP_STATE_STOPPED);
  CHECK(stage.catalog.node_use.Of("n1").reserved.memory_bytes() == 0);
}

TEST_CASE("rollout: stop keeps instances where they are and frees their room; start goes on") {
  Stage stage(2);
  stage.AddApp("web", Spec(2));
  stage.Run();
  const auto before = stage.instances("web");
  stage.Update(
      "web", false, [](api::AppSpec& spec) { spec.set_run_state(api::RUN_STATE_STOPPED); }, "STOP");
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_STOPPED);
  CHECK(stage.Count("web", api::INSTANCE_STATE_EXITED) == 2);
  CHECK(stage.op("web").has_response());
  CHECK(stage.catalog.node_use.Of("n1").reserved.memory_bytes() == 0);
  CHECK(stage.catalog.nodes.Find("nodes/n1")->node().status().allocated().memory_bytes() == 0);
  stage.Update(
      "web", false, [](api::AppSpec& spec) { spec.set_run_state(api::RUN_STATE_RUNNING); },
      "START");
  stage.Run();
  CHECK(stage.Serving("web") == 2);
  const auto after = stage.instances("web");
  REQUIRE(after.size() == 2);
  CHECK(after[0].instance().uid() == before[0].instance().uid());
  CHECK(stage.op("web").has_response());
}

TEST_CASE("rollout: restart goes through the slots one by one") {
  Stage stage;
  stage.AddApp("web", Spec(3));
  stage.Run();
  int least = 3;
  stage.on_round = [&] {
    int settled = 0;
    for (const auto& record : stage.instances("web")) {
      settled += IsServing(record) && record.applied_restart_nonce() == record.restart_nonce();
    }
    least = std::min(least, settled);
  };
  stage.Update(
      "web", false, [](api::AppSpec& spec) { spec.set_restart_nonce(1); }, "RESTART");
  stage.Run();
  CHECK(least == 2);
  for (const auto& record : stage.instances("web")) {
    CHECK(record.instance().attempt() == 2);
    CHECK(record.applied_restart_nonce() == 1);
  }
  CHECK(stage.op("web").has_response());
  CHECK(stage.instances("web").size() == 3);
}

TEST_CASE("rollout: delete removes everything but the app; purge forgets it") {
  Stage stage;
  stage.AddApp("web", Spec(2));
  stage.Run();
  stage.Delete("web", false);
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_DELETED);
  CHECK(stage.instances("web").empty());
  CHECK(stage.op("web").has_response());
  CHECK(stage.agent("n1").held.empty());
  stage.catalog.apps.Mutate(EntryStage::AppName("web")).set_purge(true);
  stage.dirty.App(EntryStage::AppName("web"));
  stage.Run();
  CHECK(stage.catalog.apps.Find(EntryStage::AppName("web")) == nullptr);
  CHECK(stage.catalog.revisions.rows().empty());
}

TEST_CASE("rollout: an app that is brought back starts again") {
  Stage stage;
  stage.AddApp("web", Spec(1));
  stage.Run();
  stage.Delete("web", false);
  stage.Run();
  stage.Update(
      "web", false, [&](api::AppSpec&) {}, "UNDELETE");
  stage.catalog.apps.Mutate(EntryStage::AppName("web")).mutable_app()->clear_delete_time();
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.op("web").has_response());
}

TEST_CASE("rollout: node data binds a slot to its node, over scaling and stopping") {
  Stage stage(2);
  api::AppSpec spec = Spec(2);
  spec.mutable_data()->set_kind(api::DATA_KIND_NODE);
  stage.AddApp("db", spec);
  stage.Run();
  std::map<int, std::string> homes;
  for (const auto& record : stage.instances("db")) {
    homes[record.instance().slot()] = record.instance().node();
  }
  stage.Update(
      "db", false, [](api::AppSpec& s) { s.set_replicas(0); }, "SCALE");
  stage.Run();
  CHECK(stage.instances("db").empty());
  // The other node is more inviting now.
  rec::NodeRecord& home = stage.catalog.nodes.Mutate("nodes/" + homes[0]);
  home.mutable_node()->mutable_status()->mutable_capacity()->set_memory_bytes(int64_t{1} << 30);
  stage.Update(
      "db", false, [](api::AppSpec& s) { s.set_replicas(2); }, "SCALE");
  stage.Run();
  for (const auto& record : stage.instances("db")) {
    CHECK(record.instance().node() == homes[record.instance().slot()]);
  }
  CHECK(stage.instances("db").size() == 2);
  stage.Update("db", true, EditCommand);
  stage.Run();
  for (const auto& record : stage.instances("db")) {
    CHECK(record.instance().node() == homes[record.instance().slot()]);
    CHECK(record.instance().revision() == 2);
  }
}

TEST_CASE("rollout: a slot whose data was lost with its node is not started on empty data") {
  Stage stage(2);
  api::AppSpec spec = Spec(1);
  spec.mutable_data()->set_kind(api::DATA_KIND_NODE);
  stage.AddApp("db", spec);
  stage.Run();
  const std::string home = stage.instances("db")[0].instance().node();
  stage.Disconnect(home);
  stage.catalog.nodes.Erase("nodes/" + home);
  stage.dirty.App(EntryStage::AppName("db"));
  stage.Run();
  CHECK(stage.instances("db").empty());
  CHECK(stage.condition("db", "Placed")->reason() == "DataElsewhere");
  stage.Update("db", true,
               [](api::AppSpec& s) { s.mutable_data()->set_kind(api::DATA_KIND_NONE); });
  stage.Run();
  CHECK(stage.Serving("db") == 1);
}

TEST_CASE("rollout: what is only kept for its data reserves neither port nor memory") {
  Stage stage;
  api::AppSpec spec = Spec(1);
  spec.mutable_data()->set_kind(api::DATA_KIND_NODE);
  spec.mutable_ports(0)->set_number(9003);
  stage.AddApp("db", spec);
  stage.Run();
  stage.Update("db", false, [](api::AppSpec& s) { s.set_replicas(0); });
  stage.Run();
  CHECK(stage.catalog.node_use.Of("n1").ports.empty());
  CHECK(stage.catalog.node_use.Of("n1").reserved.memory_bytes() == 0);
  stage.Update("db", false, [](api::AppSpec& s) { s.set_replicas(1); });
  stage.Run();
  CHECK(stage.Serving("db") == 1);
}

TEST_CASE("rollout: purging an app with node data tells its agents to remove the data") {
  Stage stage;
  api::AppSpec spec = Spec(1);
  spec.mutable_data()->set_kind(api::DATA_KIND_NODE);
  stage.AddApp("db", spec);
  stage.Run();
  stage.Delete("db", false);
  stage.Run();
  CHECK(stage.status("db").state() == api::APP_STATE_DELETED);
  CHECK(stage.catalog.InstancesOfApp(EntryStage::AppName("db")).size() == 1);
  stage.catalog.apps.Mutate(EntryStage::AppName("db")).set_purge(true);
  stage.dirty.App(EntryStage::AppName("db"));
  stage.Run();
  CHECK(stage.catalog.apps.Find(EntryStage::AppName("db")) == nullptr);
  bool purged = false;
  for (const api::ConnectResponse& message : stage.agent("n1").received) {
    for (const auto& assignment : message.assignments().assignments()) {
      purged = purged || assignment.purge_data();
    }
  }
  CHECK(purged);
}

TEST_CASE("rollout: a change that makes no revision is observed by every slot") {
  Stage stage;
  stage.AddApp("web", Spec(2));
  stage.Run();
  stage.Update("web", false, [](api::AppSpec& s) { s.mutable_update()->set_max_surge(2); });
  stage.Run();
  CHECK(stage.op("web").has_response());
  CHECK(stage.status("web").observed_generation() == 2);
  for (const auto& record : stage.instances("web")) {
    CHECK(record.instance().observed_generation() == 2);
    CHECK(record.instance().attempt() == 1);
  }
}

TEST_CASE("rollout: a lost node's app is unknown; nothing is stopped, replaced or removed") {
  Stage stage(2);
  stage.AddApp("web", Spec(1));
  stage.Run();
  const auto before = stage.instances("web")[0];
  const std::string home = before.instance().node();
  stage.Disconnect(home);
  stage.Advance(absl::Seconds(9));
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  stage.Advance(absl::Seconds(60));
  CHECK(stage.catalog.nodes.Find("nodes/" + home)->node().status().state() == api::NODE_STATE_LOST);
  CHECK(stage.status("web").state() == api::APP_STATE_UNKNOWN);
  CHECK(stage.condition("web", "Reachable")->message().find(home + " does not answer") !=
        std::string::npos);
  REQUIRE(stage.instances("web").size() == 1);
  CHECK(stage.instances("web")[0].generation() == before.generation());
  CHECK_FALSE(stage.instances("web")[0].instance().reachable());
  stage.Connect(home);
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.instances("web")[0].instance().attempt() == 1);
}

TEST_CASE("rollout: an app without an environment to choose says so") {
  Stage stage;
  stage.AddEnvironment("us");
  api::AppSpec spec = Spec(1);
  spec.clear_placement();
  stage.AddApp("web", spec);
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_PENDING);
  CHECK(stage.condition("web", "Placed")->reason() == "NoEnvironment");
}

TEST_CASE("rollout: an environment admits only its projects") {
  Stage stage;
  stage.AddEnvironment("us", {"other"});
  stage.AddNode("n2", "us");
  api::AppSpec spec = Spec(1);
  spec.mutable_placement()->set_environments(0, "us");
  stage.AddApp("web", spec);
  stage.Run();
  CHECK(stage.condition("web", "Placed")->reason() == "NotAllowed");
  api::AppSpec free = Spec(1);
  free.clear_placement();
  stage.AddApp("free", free);
  stage.Run();
  CHECK(stage.instances("free")[0].instance().environment() == "eu");
}

TEST_CASE("rollout: conditions speak of one slot as of one") {
  Stage stage;
  stage.AddApp("one", Spec(1));
  stage.AddApp("three", Spec(3));
  stage.Run();
  CHECK(stage.condition("one", "Placed")->message() == "1 of 1 slot has a node.");
  CHECK(stage.condition("one", "Ready")->message() == "1 of 1 slot ready.");
  CHECK(stage.condition("one", "UpToDate")->message() == "1 of 1 slot runs revision 1.");
  CHECK(stage.condition("three", "Placed")->message() == "3 of 3 slots have a node.");
  CHECK(stage.condition("three", "UpToDate")->message() == "3 of 3 slots run revision 1.");
}

TEST_CASE("rollout: a digest found by the first fetch is pinned in revision and statements") {
  Stage stage;
  api::AppSpec spec = Spec(1);
  spec.mutable_artifact()->set_uri("https://files.example/a.tgz");
  stage.AddApp("web", spec);
  stage.Run();
  const std::string sha(64, 'a');
  FakeAgent& agent = stage.agent("n1");
  auto& held = agent.held.begin()->second;
  held.status.set_artifact_sha256(sha);
  agent.Nudge();
  stage.Run();
  CHECK(stage.catalog.revisions.Find(EntryStage::AppName("web") + "/revisions/1")
            ->revision()
            .spec()
            .artifact()
            .sha256() == sha);
  CHECK(agent.held.begin()->second.assignment.spec().artifact().sha256() == sha);
}

}  // namespace
}  // namespace appsup::entry
