#include <algorithm>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "entry/core/disconnect.h"
#include "tests/support/rollout_stage.h"

// What becomes of the instances of a node that is lost.
namespace appsup::entry {
namespace {

struct Stage : RolloutStage {
  using RolloutStage::RolloutStage;

  // Nodes other than these keep their leases.
  void Lose(const std::vector<std::string>& nodes) {
    for (const std::string& node : nodes) Disconnect(node);
    lost.insert(lost.end(), nodes.begin(), nodes.end());
    Pass(options.lease);
  }
  void Pass(absl::Duration time) {
    for (absl::Duration passed; passed < time; passed += absl::Seconds(1)) {
      Advance(std::min(absl::Seconds(1), time - passed));
      Beat();
    }
  }
  void Return(const std::string& node) {
    lost.erase(std::remove(lost.begin(), lost.end(), node), lost.end());
    Connect(node);
    Run();
  }

  std::string NodeOf(const std::string& app) const { return instances(app)[0].instance().node(); }
  // Instances that should run, by node.
  std::vector<std::string> Wanted(const std::string& app) const {
    std::vector<std::string> nodes;
    for (const rec::InstanceRecord& record : instances(app)) {
      if (record.instance().desired() != api::DESIRED_STATE_RUN) continue;
      nodes.push_back(record.instance().node());
    }
    std::sort(nodes.begin(), nodes.end());
    return nodes;
  }
  std::string Why(const std::string& app) const { return condition(app, "Reachable")->message(); }

  std::vector<std::string> lost;
};

api::AppSpec SpecWith(api::AtLeaseEnd at_end, api::Replace replace, int replicas = 1) {
  api::AppSpec spec = RolloutSpec(replicas);
  spec.mutable_disconnect()->set_at_lease_end(at_end);
  spec.mutable_disconnect()->set_replace(replace);
  return spec;
}

api::AppSpec Fenced() { return SpecWith(api::AT_LEASE_END_STOP, api::REPLACE_AFTER_STOP); }

TEST_CASE("node loss: a single replica is not replaced unless its spec says so") {
  Stage stage(2);
  stage.AddApp("web", RolloutSpec(1));
  stage.Run();
  const std::string home = stage.NodeOf("web");
  stage.Lose({home});
  stage.Pass(absl::Minutes(10));
  CHECK(stage.Wanted("web") == std::vector{home});
  CHECK(stage.status("web").state() == api::APP_STATE_UNKNOWN);
  CHECK(stage.Why("web").find("replace is NEVER") != std::string::npos);
  stage.Return(home);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.instances("web")[0].instance().attempt() == 1);
}

TEST_CASE("node loss: several replicas without local data are replaced after five minutes") {
  Stage stage(3);
  stage.AddApp("web", RolloutSpec(2));
  stage.Run();
  const std::string home = stage.NodeOf("web");
  stage.Lose({home});
  stage.Pass(absl::Minutes(4));
  CHECK(stage.Wanted("web").size() == 2);
  CHECK(stage.Why("web").find("lost for 5m") != std::string::npos);
  stage.Pass(absl::Minutes(2));
  CHECK(stage.Serving("web") == 2);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  stage.Return(home);
  CHECK(stage.instances("web").size() == 2);
  CHECK(stage.Serving("web") == 2);
}

TEST_CASE("node loss: a replacement says whether the old copy is proven to have ended") {
  Stage stage(2);
  const bool fenced = GENERATE(false, true);
  api::AppSpec spec = fenced ? Fenced() : SpecWith(api::AT_LEASE_END_KEEP, api::REPLACE_AFTER);
  stage.AddApp("web", spec);
  stage.Run();
  const rec::InstanceRecord old = stage.instances("web")[0];
  stage.Lose({old.instance().node()});
  stage.Pass(absl::Minutes(6));
  const api::Instance& now = stage.catalog.instances.Find(old.instance().name())->instance();
  CHECK(now.replaced());
  CHECK((now.message().find("has ended this copy") != std::string::npos) == fenced);
  CHECK((now.message().find("may still run") != std::string::npos) == !fenced);
}

TEST_CASE(
    "node loss: a fenced instance is replaced only when its lease, drift and kill have passed") {
  Stage stage(2);
  stage.AddApp("web", Fenced());
  stage.Run();
  const std::string home = stage.NodeOf("web");
  REQUIRE(stage.agent(home).held.begin()->second.assignment.fenced());
  stage.Lose({home});
  CHECK(stage.Wanted("web") == std::vector{home});
  stage.Advance(FenceMargin(stage.options) - absl::Milliseconds(1));
  CHECK(stage.Wanted("web") == std::vector{home});
  stage.Advance(absl::Milliseconds(1));
  REQUIRE(stage.Wanted("web").size() == 1);
  CHECK(stage.Wanted("web")[0] != home);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  // The old copy must not start again when its node is back.
  const size_t starts = stage.agent(home).started.size();
  stage.Return(home);
  CHECK(stage.agent(home).started.size() == starts);
  CHECK(stage.instances("web").size() == 1);
}

TEST_CASE("node loss: tokens of a fenced slot grow from instance to instance") {
  Stage stage(2);
  stage.AddApp("web", Fenced());
  stage.Run();
  const std::string home = stage.NodeOf("web");
  const int64_t first = stage.instances("web")[0].fence_token();
  CHECK(first > 0);
  stage.Lose({home});
  stage.Pass(FenceMargin(stage.options) + absl::Seconds(1));
  for (const rec::InstanceRecord& record : stage.instances("web")) {
    if (record.instance().node() != home) CHECK(record.fence_token() > first);
  }
}

TEST_CASE("node loss: an instance that has not confirmed its fence is not taken for ended") {
  Stage stage(2);
  stage.AddApp("web", RolloutSpec(1));
  stage.Run();
  const std::string home = stage.NodeOf("web");
  stage.Disconnect(home);
  stage.Update("web", false, [](api::AppSpec& spec) {
    spec.mutable_disconnect()->set_at_lease_end(api::AT_LEASE_END_STOP);
    spec.mutable_disconnect()->set_replace(api::REPLACE_AFTER_STOP);
  });
  stage.Lose({home});
  stage.Pass(absl::Minutes(1));
  CHECK(stage.Wanted("web") == std::vector{home});
  CHECK(stage.Why("web").find("had not confirmed its fence") != std::string::npos);
}

TEST_CASE("node loss: a fence that is set on a running instance restarts nothing") {
  Stage stage(2);
  stage.AddApp("web", RolloutSpec(1));
  stage.Run();
  const std::string home = stage.NodeOf("web");
  stage.Update("web", false,
               [](api::AppSpec& spec) { *spec.mutable_disconnect() = Fenced().disconnect(); });
  stage.Run();
  CHECK(stage.op("web").has_response());
  CHECK(stage.instances("web")[0].instance().attempt() == 1);
  CHECK(stage.instances("web")[0].instance().fenced());
  stage.Lose({home});
  stage.Pass(FenceMargin(stage.options) + absl::Seconds(1));
  REQUIRE(stage.Wanted("web").size() == 1);
  CHECK(stage.Wanted("web")[0] != home);
}

TEST_CASE("node loss: of two copies after a partition the newer ready one stays") {
  Stage stage(2);
  stage.AddApp("web", SpecWith(api::AT_LEASE_END_KEEP, api::REPLACE_AFTER));
  stage.Run();
  const std::string home = stage.NodeOf("web");
  const std::string other = home == "n1" ? "n2" : "n1";
  SECTION("the successor is ready") {
    stage.Lose({home});
    stage.Pass(absl::Minutes(6));
    REQUIRE(stage.Serving("web") == 1);
    stage.Return(home);
    CHECK(stage.Wanted("web") == std::vector{other});
    CHECK(stage.agent(home).held.empty());
  }
  SECTION("the successor is not ready: the old one serves until it is") {
    stage.agent(other).behaviours[1] = Behaviour::kNeverReady;
    stage.Lose({home});
    stage.Pass(absl::Minutes(6));
    REQUIRE(stage.Wanted("web").size() == 2);
    stage.Return(home);
    CHECK(stage.Serving("web") == 1);
    CHECK(stage.status("web").ready_replicas() == 1);
    stage.agent(other).behaviours[1] = Behaviour::kReady;
    stage.agent(other).Nudge();
    stage.Run();
    CHECK(stage.Wanted("web") == std::vector{other});
  }
}

TEST_CASE("node loss: an update waits for a copy that may still run") {
  Stage stage(2);
  stage.AddApp("web", GENERATE(Fenced(), RolloutSpec(1)));
  stage.Run();
  const bool fenced = stage.app("web").app().spec().has_disconnect();
  const std::string home = stage.NodeOf("web");
  stage.Lose({home});
  stage.Update("web", true, EditCommand);
  stage.Run();
  for (const rec::InstanceRecord& record : stage.instances("web")) {
    CHECK(record.instance().node() == home);
  }
  CHECK(stage.condition("web", "Placed")->reason() == "NodeLost");
  stage.Pass(absl::Minutes(1));
  CHECK(stage.Serving("web") == (fenced ? 1 : 0));
  stage.Return(home);
  CHECK(stage.Serving("web") == 1);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 1);
}

TEST_CASE("node loss: in the middle of an update the old one is kept until the new one is ready") {
  Stage stage(1);
  stage.AddApp("web", RolloutSpec(2));
  stage.Run();
  stage.Behave(2, Behaviour::kNeverReady);
  stage.Update("web", true, EditCommand);
  stage.Run();
  stage.Lose({"n1"});
  stage.Return("n1");
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 1) == 2);
  CHECK(stage.Serving("web") == 2);
  SECTION("it is ready at last") {
    stage.Behave(2, Behaviour::kReady);
    stage.agent("n1").Nudge();
    stage.Run();
    CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 2);
    CHECK(stage.instances("web").size() == 2);
  }
  SECTION("it never is") {
    stage.Pass(absl::Minutes(10));
    CHECK(stage.condition("web", "UpToDate")->reason() == "RolledBack");
    CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 1) == 2);
    CHECK(stage.instances("web").size() == 2);
  }
}

TEST_CASE("node loss: a slot that was scaled away on a lost node is not filled beside it") {
  Stage stage(3);
  stage.AddApp("web", SpecWith(api::AT_LEASE_END_KEEP, api::REPLACE_NEVER, 2));
  stage.Run();
  std::string home;
  for (const rec::InstanceRecord& record : stage.instances("web")) {
    if (record.instance().slot() == 1) home = record.instance().node();
  }
  stage.Lose({home});
  stage.Update("web", false, [](api::AppSpec& spec) { spec.set_replicas(1); });
  stage.Run();
  stage.Update("web", false, [](api::AppSpec& spec) { spec.set_replicas(2); });
  stage.Pass(absl::Minutes(1));
  CHECK(stage.Wanted("web").size() == 1);
  stage.Return(home);
  CHECK(stage.Serving("web") == 2);
}

TEST_CASE("node loss: a fenced app updates without two copies of a slot") {
  Stage stage(2);
  stage.AddApp("web", Fenced());
  stage.Run();
  int most = 0;
  stage.on_round = [&] {
    int running = 0;
    for (const char* node : {"n1", "n2"}) {
      for (const auto& [uid, held] : stage.agent(node).held) {
        running += held.status.state() == api::INSTANCE_STATE_RUNNING;
      }
    }
    most = std::max(most, running);
  };
  stage.Update("web", true, EditCommand);
  stage.Run();
  CHECK(most == 1);
  CHECK(stage.Serving("web") == 1);
}

TEST_CASE("brake: when most nodes are lost at once, nothing is replaced until it is released") {
  Stage stage(4);
  stage.AddApp("web", SpecWith(api::AT_LEASE_END_STOP, api::REPLACE_AFTER_STOP, 4));
  stage.Run();
  REQUIRE(stage.Serving("web") == 4);
  stage.Lose({"n1", "n2", "n3"});
  stage.Pass(absl::Minutes(10));
  CHECK(stage.Serving("web") == 1);
  CHECK(stage.catalog.environments.Find("environments/eu")->brake_engaged());
  CHECK(stage.catalog.EnvironmentView("environments/eu").status().lost_nodes() == 3);
  CHECK(stage.Why("web").find("3 of 4 nodes are lost") != std::string::npos);
  SECTION("two nodes are back: the third is replaced") {
    stage.Return("n1");
    stage.Return("n2");
    stage.Pass(absl::Seconds(5));
    CHECK_FALSE(stage.catalog.environments.Find("environments/eu")->brake_engaged());
    CHECK(stage.Serving("web") == 4);
  }
}

TEST_CASE("brake: half of the nodes is not too many") {
  Stage stage(4);
  stage.AddApp("web", SpecWith(api::AT_LEASE_END_STOP, api::REPLACE_AFTER_STOP, 4));
  stage.Run();
  stage.Lose({"n1", "n2"});
  stage.Pass(absl::Seconds(5));
  CHECK_FALSE(stage.catalog.environments.Find("environments/eu")->brake_engaged());
  CHECK(stage.Serving("web") == 4);
}

TEST_CASE("node loss: a repeatable setup is fenced, and tried again when its fence has ended it") {
  Stage stage(2);
  api::AppSpec spec = RolloutSpec(1);
  spec.mutable_setup()->add_command("migrate");
  spec.mutable_setup()->set_version("k1");
  spec.mutable_setup()->set_retry_safe(GENERATE(true, false));
  const bool retry_safe = spec.setup().retry_safe();
  stage.AddApp("web", spec);
  stage.Run();
  const std::string home = stage.NodeOf("web");
  const std::string other = home == "n1" ? "n2" : "n1";
  CHECK(stage.agent(home).held.begin()->second.assignment.fenced() == retry_safe);
  stage.Lose({home});
  CHECK(stage.agent(other).started.empty());
  stage.agent(other).setup_exits[1] = api::Exit();
  stage.Pass(FenceMargin(stage.options) + absl::Seconds(1));
  CHECK(stage.agent(other).started.empty() == !retry_safe);
}

}  // namespace
}  // namespace appsup::entry
