#include "entry/core/setup.h"

#include <catch2/catch.hpp>

#include "entry/core/instance_facts.h"
#include "tests/support/entry_stage.h"

namespace appsup::entry {
namespace {

api::Exit ExitCode(int code) {
  api::Exit exit;
  exit.set_code(code);
  return exit;
}

// An app whose revisions 1, 2, … have the setup keys that they say.
struct Stage : EntryStage {
  Stage() {
    AddEnvironment("eu");
    AddNode("n1");
    AddNode("n2");
    Run();
  }

  static api::AppSpec Spec(const std::string& key, bool retry_safe = false) {
    api::AppSpec spec;
    spec.set_replicas(2);
    spec.mutable_placement()->add_environments("eu");
    spec.mutable_runtime()->mutable_process()->add_command("serve");
    spec.mutable_setup()->add_command("migrate");
    spec.mutable_setup()->set_version(key);
    spec.mutable_setup()->set_retry_safe(retry_safe);
    return spec;
  }

  void End(int64_t revision, const api::Exit& exit) {
    for (const char* node : {"n1", "n2"}) {
      agent(node).setup_exits[revision] = exit;
      agent(node).Nudge();
    }
  }

  // How often setup of a revision was started, on all nodes.
  int Started(int64_t revision) {
    int count = 0;
    for (const char* node : {"n1", "n2"}) {
      for (const std::string& what : agent(node).started) {
        count += what == "setup r" + std::to_string(revision);
      }
    }
    return count;
  }

  const rec::SetupRecord& setup(const std::string& key) const {
    return app("web").setups().at(key);
  }

  // As AppService/RetrySetup and AcceptSetup do.
  void Decide(const std::string& key, api::SetupState state) {
    Update(
        "web", false, [](api::AppSpec&) {}, "SETUP");
    (*catalog.apps.Mutate(AppName("web")).mutable_setups())[key].set_state(state);
  }

  // The node of the present attempt.
  std::string SetupNode() const {
    for (const auto& record : instances("web")) {
      if (record.instance().setup()) return record.instance().node();
    }
    return "";
  }

  const api::Operation& op() const { return operation(AppName("web")); }
};

TEST_CASE("setup: runs once before the first start, then every slot starts") {
  Stage stage;
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_SETTING_UP);
  CHECK(stage.condition("web", "SetUp")->reason() == "SettingUp");
  REQUIRE(stage.instances("web").size() == 1);
  CHECK(stage.instances("web")[0].instance().setup());
  CHECK_FALSE(stage.op().done());
  stage.End(1, ExitCode(0));
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.instances("web").size() == 2);
  CHECK(stage.condition("web", "SetUp")->status() == api::CONDITION_STATUS_TRUE);
  CHECK(stage.setup("k1").state() == api::SETUP_STATE_SUCCEEDED);
  CHECK(stage.Started(1) == 1);
  CHECK(stage.op().has_response());
}

TEST_CASE("setup: has its own time; the progress deadline waits for it") {
  Stage stage;
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  for (int i = 0; i < 20 * 12; ++i) {
    stage.Beat();
    stage.Advance(absl::Seconds(5));
  }
  CHECK_FALSE(stage.op().done());
  CHECK(stage.status("web").state() == api::APP_STATE_SETTING_UP);
}

TEST_CASE("setup: a key that succeeded never runs again") {
  Stage stage;
  stage.End(1, ExitCode(0));
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  REQUIRE(stage.Started(1) == 1);
  SECTION("on scale") {
    stage.Update("web", false, [](api::AppSpec& spec) { spec.set_replicas(4); });
  }
  SECTION("on stop and start") {
    stage.Update("web", false,
                 [](api::AppSpec& spec) { spec.set_run_state(api::RUN_STATE_STOPPED); });
    stage.Run();
    stage.Update("web", false,
                 [](api::AppSpec& spec) { spec.set_run_state(api::RUN_STATE_RUNNING); });
  }
  SECTION("in a revision with the same key") {
    stage.Update("web", true, [](api::AppSpec& spec) { (*spec.mutable_env())["A"] = "1"; });
  }
  stage.Run();
  CHECK(stage.Started(1) + stage.Started(2) == 1);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.op().has_response());
}

TEST_CASE("setup: of an update runs after everything old has stopped") {
  Stage stage;
  stage.End(1, ExitCode(0));
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  stage.Update("web", true, [](api::AppSpec& spec) { spec.mutable_setup()->set_version("k2"); });
  bool overlap = false;
  stage.on_round = [&] {
    for (const auto& record : stage.instances("web")) {
      if (!record.instance().setup() || record.instance().state() < api::INSTANCE_STATE_RUNNING) {
        continue;
      }
      overlap = overlap || stage.Count("web", api::INSTANCE_STATE_RUNNING, 1) > 0;
    }
  };
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_SETTING_UP);
  stage.End(2, ExitCode(0));
  stage.Run();
  CHECK_FALSE(overlap);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 2);
}

TEST_CASE("setup: a failed first one says why, and waits for RetrySetup") {
  Stage stage;
  stage.End(1, ExitCode(3));
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_FAILED);
  CHECK(stage.condition("web", "SetUp")->reason() == "SetupFailed");
  REQUIRE(stage.op().has_error());
  stage.Advance(absl::Hours(2));
  CHECK(stage.Started(1) == 1);
  for (const char* node : {"n1", "n2"}) stage.agent(node).setup_exits[1] = ExitCode(0);
  stage.Decide("k1", api::SETUP_STATE_UNSPECIFIED);
  stage.Beat();
  for (const char* node : {"n1", "n2"}) {
    stage.Connect(node);  // The long wait had cost them their leases.
  }
  stage.Run();
  CHECK(stage.Started(1) == 2);
  CHECK(stage.setup("k1").attempts() == 2);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
}

TEST_CASE("setup: when that of an update fails, the old revision runs again") {
  Stage stage;
  stage.End(1, ExitCode(0));
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  stage.End(2, ExitCode(1));
  stage.Update("web", true, [](api::AppSpec& spec) { spec.mutable_setup()->set_version("k2"); });
  stage.Run();
  CHECK(stage.app("web").target_revision() == 1);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 1) == 2);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.Started(1) == 1);
  CHECK(stage.op().error().message().find("Setup of revision 2 failed") != std::string::npos);
  CHECK(stage.setup("k2").state() == api::SETUP_STATE_FAILED);
}

TEST_CASE("setup: an outcome that is not known is shown and waits for an operator") {
  Stage stage;
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  SECTION("its end was not seen") {
    api::Exit exit;
    exit.set_unknown(true);
    stage.End(1, exit);
    stage.Run();
  }
  SECTION("its node stays silent") {
    const std::string node = stage.SetupNode();
    stage.Disconnect(node);
    stage.Advance(absl::Minutes(20));
    CHECK(stage.setup("k1").state() == api::SETUP_STATE_RUNNING);
    stage.Advance(absl::Minutes(20));
  }
  SECTION("its node was deleted") {
    const std::string node = stage.SetupNode();
    stage.Disconnect(node);
    stage.catalog.nodes.Erase("nodes/" + node);
    stage.dirty.App(EntryStage::AppName("web"));
    stage.Run();
  }
  CHECK(stage.setup("k1").state() == api::SETUP_STATE_OUTCOME_UNKNOWN);
  CHECK(stage.condition("web", "SetUp")->reason() == "SetupOutcomeUnknown");
  CHECK(stage.condition("web", "SetUp")->status() == api::CONDITION_STATUS_UNKNOWN);
  CHECK(stage.op().has_error());
  CHECK(stage.Started(1) == 1);
  stage.Decide("k1", api::SETUP_STATE_SUCCEEDED);
  for (const char* node : {"n1", "n2"}) {
    if (stage.catalog.nodes.Find(std::string("nodes/") + node) != nullptr) stage.Connect(node);
  }
  stage.Run();
  CHECK(stage.Started(1) == 1);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
}

TEST_CASE("setup: with retry_safe an unknown outcome is tried again by itself") {
  Stage stage;
  stage.AddApp("web", Stage::Spec("k1", true));
  stage.Run();
  const std::string node = stage.SetupNode();
  stage.Disconnect(node);
  stage.catalog.nodes.Erase("nodes/" + node);
  stage.dirty.App(EntryStage::AppName("web"));
  stage.End(1, ExitCode(0));
  stage.Run();
  CHECK(stage.Started(1) == 2);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
}

TEST_CASE("setup: a result that comes late settles an unknown outcome") {
  Stage stage;
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  const std::string node = stage.SetupNode();
  stage.Disconnect(node);
  stage.Advance(absl::Minutes(40));
  REQUIRE(stage.setup("k1").state() == api::SETUP_STATE_OUTCOME_UNKNOWN);
  stage.Connect(node);
  // The agent had recorded the end before it heard that the attempt is over.
  FakeAgent& agent = stage.agent(node);
  api::ConnectRequest report;
  api::InstanceStatus& status = *report.mutable_status()->add_instances();
  status = agent.held.begin()->second.status;
  status.set_sequence(status.sequence() + 1);
  status.set_state(api::INSTANCE_STATE_EXITED);
  *status.mutable_exit() = ExitCode(0);
  agent.held.begin()->second.status = status;
  stage.sessions->Received({agent.session_, std::make_shared<api::ConnectRequest>(report)},
                           stage.now);
  stage.Connect(node == "n1" ? "n2" : "n1");
  stage.Run();
  CHECK(stage.setup("k1").state() == api::SETUP_STATE_SUCCEEDED);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.Started(1) == 1);
}

TEST_CASE("setup: at most one attempt runs; an update waits for the one before") {
  Stage stage;
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  stage.Update("web", true, [](api::AppSpec& spec) { spec.mutable_setup()->set_version("k2"); });
  stage.Run();
  CHECK(stage.Started(2) == 0);
  stage.End(1, ExitCode(0));
  stage.Run();
  CHECK(stage.setup("k1").state() == api::SETUP_STATE_SUCCEEDED);
  CHECK(stage.Started(2) == 1);
  stage.End(2, ExitCode(0));
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
  CHECK(stage.Count("web", api::INSTANCE_STATE_RUNNING, 2) == 2);
}

TEST_CASE("setup: stopping the app stops its setup") {
  Stage stage;
  stage.AddApp("web", Stage::Spec("k1"));
  stage.Run();
  api::Exit killed;
  killed.set_signal(15);
  for (auto& [uid, held] : stage.agent(stage.SetupNode()).held)
    *held.status.mutable_exit() = killed;
  stage.Update("web", false,
               [](api::AppSpec& spec) { spec.set_run_state(api::RUN_STATE_STOPPED); });
  stage.Run();
  CHECK(stage.status("web").state() == api::APP_STATE_STOPPED);
  CHECK(stage.op().has_response());
  CHECK(stage.setup("k1").state() == api::SETUP_STATE_FAILED);
  CHECK(stage.setup("k1").message().find("stopped before it ended") != std::string::npos);
}

TEST_CASE("setup: with node data, slot 0 goes where its setup ran") {
  Stage stage;
  api::AppSpec spec = Stage::Spec("k1");
  spec.mutable_data()->set_kind(api::DATA_KIND_NODE);
  stage.AddApp("web", spec);
  stage.Run();
  const std::string node = stage.SetupNode();
  // The other node is more inviting now.
  stage.catalog.nodes.Mutate("nodes/" + node)
      .mutable_node()
      ->mutable_status()
      ->mutable_capacity()
      ->set_memory_bytes(int64_t{1} << 30);
  stage.End(1, ExitCode(0));
  stage.Run();
  for (const auto& record : stage.instances("web")) {
    if (record.instance().slot() == 0) CHECK(record.instance().node() == node);
  }
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
}

}  // namespace
}  // namespace appsup::entry
