#include "entry/core/sessions.h"

#include <catch2/catch.hpp>

#include "entry/core/statement.h"
#include "tests/support/link_stage.h"

namespace appsup::entry {
namespace {

using Stage = LinkStage;
constexpr auto Spec = LinkSpec;

TEST_CASE(
    "session: hello is answered by welcome, then by the differences, even if there are none") {
  Stage stage;
  const auto& received = stage.agent("n1").received;
  REQUIRE(received.size() == 2);
  CHECK(received[0].timeline() == "t1");
  CHECK(received[0].epoch() == 1);
  CHECK(stage.Welcome().incarnation() == 1);
  CHECK(stage.Welcome().node() == "n1");
  CHECK(stage.Welcome().lease().seconds() == 10);
  CHECK(stage.Welcome().heartbeat_period().seconds() == 3);
  CHECK(stage.Welcome().position().catalog_uid() == "catalog");
  CHECK(received[1].assignments().base() == 0);
  CHECK(received[1].assignments().version() == 1);
  CHECK(stage.StateOf("n1") == api::NODE_STATE_READY);
}

TEST_CASE("session: a newer stream of the same node replaces the older at once") {
  Stage stage;
  const SessionId older = stage.agent("n1").session_;
  const std::string secret = stage.agent("n1").secret;
  api::Hello hello;
  hello.set_machine_id("machine-n1");
  hello.set_last_session_secret(secret);
  hello.set_boot_id("rebooted");
  const auto effects = stage.Open(77, "n1", "uid-n1", hello);
  REQUIRE(Stage::First(effects, older) != nullptr);
  CHECK(Stage::First(effects, older)->has_goodbye());
  REQUIRE(Stage::First(effects, 77) != nullptr);
  CHECK(Stage::First(effects, 77)->welcome().incarnation() == 2);
  CHECK(stage.catalog.nodes.Find("nodes/n1")->node().status().boot_id() == "rebooted");
}

TEST_CASE("session: a copy of the machine is refused while the old session lives, naming both") {
  Stage stage;
  api::Hello hello;
  hello.set_machine_id("machine-n1");
  hello.set_last_session_secret(stage.agent("n1").secret);
  SECTION("wrong secret") { hello.set_last_session_secret("stale"); }
  SECTION("another machine") { hello.set_machine_id("machine-x"); }
  const auto effects = stage.Open(77, "n1", "uid-n1", hello);
  const api::ConnectResponse* message = Stage::First(effects, 77);
  REQUIRE(message != nullptr);
  REQUIRE(message->has_goodbye());
  CHECK_FALSE(message->goodbye().final());
  CHECK(message->goodbye().reason().find("10.0.0.1:1") != std::string::npos);
  CHECK(message->goodbye().reason().find("10.9.9.9:1") != std::string::npos);
  CHECK(Stage::First(effects, stage.agent("n1").session_) == nullptr);
  CHECK(stage.sessions->Connected("nodes/n1"));
  // After a silent lease it is accepted.
  stage.Advance(absl::Seconds(11));
  const auto later = stage.Open(78, "n1", "uid-n1", hello);
  REQUIRE(Stage::First(later, 78) != nullptr);
  CHECK(Stage::First(later, 78)->has_welcome());
}

TEST_CASE("session: the first message must be Hello, and only the first") {
  Stage stage;
  SECTION("none") {
    AgentConnected event;
    event.session = 77;
    event.node = "n1";
    event.node_uid = "uid-n1";
    stage.sessions->Connected(event, stage.now);
    api::ConnectRequest beat;
    beat.mutable_heartbeat()->set_number(1);
    stage.sessions->Received({77, std::make_shared<api::ConnectRequest>(beat)}, stage.now);
    CHECK(Stage::First(stage.sessions->Collect(stage.now), 77)->has_goodbye());
    CHECK(stage.sessions->Connected("nodes/n1"));
  }
  SECTION("two") {
    api::ConnectRequest hello;
    hello.mutable_hello();
    stage.Send(hello);
    stage.Run();
    CHECK(stage.Goodbye() != nullptr);
  }
}

TEST_CASE("session: a stream ends when the certificate that opened it expires, by the wall clock") {
  Stage stage;
  AgentConnected event;
  event.session = 77;
  event.node = "n1";
  event.node_uid = "uid-n1";
  event.certificate_expires = stage.now.wall + absl::Seconds(20);
  stage.sessions->Connected(event, stage.now);
  api::ConnectRequest hello;
  hello.mutable_hello()->set_machine_id("machine-n1");
  hello.mutable_hello()->set_last_session_secret(stage.agent("n1").secret);
  stage.sessions->Received({77, std::make_shared<api::ConnectRequest>(hello)}, stage.now);
  REQUIRE(Stage::First(stage.sessions->Collect(stage.now), 77)->has_welcome());
  auto pass = [&](absl::Duration boot, absl::Duration wall) {
    stage.now.boot += boot;
    stage.now.wall += wall;
    stage.sessions->Writable(77, stage.now);  // What was said is taken.
    api::ConnectRequest beat;
    beat.mutable_heartbeat()->set_number(1);
    stage.sessions->Received({77, std::make_shared<api::ConnectRequest>(beat)}, stage.now);
    stage.sessions->Expire(stage.now);
    const auto effects = stage.sessions->Collect(stage.now);
    const api::ConnectResponse* message = Stage::First(effects, 77);
    return message != nullptr && message->has_goodbye() ? message->goodbye().reason() : "";
  };
  CHECK(pass(absl::Seconds(9), absl::Seconds(9)) == "");
  CHECK(pass(absl::Seconds(9), absl::Seconds(4)) == "");  // The wall clock was set back.
  CHECK(pass(absl::Seconds(5), absl::Seconds(5)) == "");
  CHECK_THAT(pass(absl::Seconds(3), absl::Seconds(3)), Catch::Contains("certificate of node n1"));
  CHECK_FALSE(stage.sessions->Connected("nodes/n1"));
}

TEST_CASE("session: a gap makes the entry tell everything anew") {
  Stage stage;
  stage.AddApp("web", Spec(3));
  stage.Run();
  stage.agent("n1").version = 40;  // As if messages had been lost.
  stage.Update("web", false, [](api::AppSpec& spec) { spec.set_replicas(4); });
  stage.Run();
  CHECK(stage.sessions->counters().resyncs == 1);
  CHECK(stage.agent("n1").held.size() == 4);
  CHECK(stage.status("web").state() == api::APP_STATE_RUNNING);
}

TEST_CASE("session: statuses are acknowledged, also old and unknown ones") {
  Stage stage;
  stage.AddApp("web", Spec(1));
  stage.Run();
  FakeAgent& agent = stage.agent("n1");
  agent.received.clear();
  api::ConnectRequest report;
  *report.mutable_status()->add_instances() = agent.held.begin()->second.status;
  report.mutable_status()->add_instances()->set_uid("nobody");
  stage.Send(report);
  stage.Run();
  REQUIRE(agent.received.size() == 1);
  CHECK(agent.received[0].status_ack().instances_size() == 2);
  CHECK(stage.sessions->counters().repeated_statuses == 1);
  CHECK(stage.sessions->counters().unknown_statuses == 1);
}

TEST_CASE("session: an agent cannot speak for another node's instances") {
  Stage stage;
  stage.AddApp("web", Spec(1));
  stage.Run();
  stage.AddNode("n2");
  stage.Run();
  api::ConnectRequest report;
  api::InstanceStatus& status = *report.mutable_status()->add_instances();
  status = stage.agent("n1").held.begin()->second.status;
  status.set_sequence(1000);
  status.set_state(api::INSTANCE_STATE_FAILED);
  api::AssignmentRefused refused;
  refused.set_uid(status.uid());
  refused.set_generation(stage.instances("web")[0].generation());
  stage.Send(report, "n2");
  api::ConnectRequest applied;
  *applied.mutable_assignments_applied()->add_refused() = refused;
  stage.Send(applied, "n2");
  stage.Run();
  CHECK(stage.instances("web")[0].instance().state() == api::INSTANCE_STATE_RUNNING);
  CHECK(stage.sessions->counters().foreign_statuses == 1);
}

TEST_CASE("session: one message is under way; what waits is told once in its newest form") {
  Stage stage;
  stage.AddApp("web", Spec(1));
  stage.Run();
  const SessionId session = stage.agent("n1").session_;
  api::ConnectRequest beat;
  beat.mutable_heartbeat()->set_number(1);
  stage.Send(beat);
  CHECK(stage.sessions->Collect(stage.now).size() == 1);
  const std::string name = stage.instances("web")[0].instance().name();
  for (int i = 0; i < 10; ++i) {
    stage.catalog.instances.Mutate(name).set_restart_nonce(i + 1);
    Restate(stage.catalog, stage.dirty, name);
    stage.sessions->AssignmentChanged("nodes/n1", name);
    beat.mutable_heartbeat()->set_number(i + 2);
    stage.Send(beat);
    CHECK(stage.sessions->Collect(stage.now).empty());
  }
  stage.sessions->Writable(session, stage.now);
  auto effects = stage.sessions->Collect(stage.now);
  CHECK(Stage::First(effects, session)->lease_granted().number() == 11);
  stage.sessions->Writable(session, stage.now);
  effects = stage.sessions->Collect(stage.now);
  REQUIRE(Stage::First(effects, session)->assignments().assignments_size() == 1);
  CHECK(Stage::First(effects, session)->assignments().assignments(0).restart_nonce() == 10);
  stage.sessions->Writable(session, stage.now);
  CHECK(stage.sessions->Collect(stage.now).empty());
}

TEST_CASE("session: a peer that does not read loses its stream") {
  Stage stage;
  const SessionId session = stage.agent("n1").session_;
  for (int i = 1; i <= 25; ++i) {
    api::ConnectRequest beat;
    beat.mutable_heartbeat()->set_number(i);
    stage.Send(beat);
    stage.now = {stage.now.wall + absl::Seconds(3), stage.now.boot + absl::Seconds(3)};
    if (stage.sessions->next_deadline() <= stage.now.boot) stage.sessions->Expire(stage.now);
    for (const Effect& effect : stage.sessions->Collect(stage.now)) {
      const auto* close = std::get_if<CloseAgent>(&effect);
      if (close == nullptr) continue;
      CHECK(close->session == session);
      CHECK(i >= 20);
      return;
    }
  }
  FAIL("the stream was not closed");
}

TEST_CASE("session: who connects and says nothing is sent away") {
  Stage stage;
  AgentConnected event;
  event.session = 77;
  event.node = "n1";
  event.node_uid = "uid-n1";
  stage.sessions->Connected(event, stage.now);
  stage.now.boot += absl::Seconds(31);
  stage.sessions->Expire(stage.now);
  CHECK(Stage::First(stage.sessions->Collect(stage.now), 77)->has_goodbye());
}

}  // namespace
}  // namespace appsup::entry
