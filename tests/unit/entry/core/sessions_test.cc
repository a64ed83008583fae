#include "entry/core/sessions.h"

#include <catch2/catch.hpp>

#include "entry/core/statement.h"
#include "tests/support/entry_stage.h"

namespace appsup::entry {
namespace {

api::AppSpec Spec(int replicas = 1) {
  api::AppSpec spec;
  spec.set_replicas(replicas);
  spec.mutable_placement()->add_environments("eu");
  spec.mutable_runtime()->mutable_process()->add_command("serve");
  return spec;
}

struct Stage : EntryStage {
  Stage() {
    AddEnvironment("eu");
    AddNode("n1");
    Run();
  }

  void Send(const api::ConnectRequest& request, const std::string& node = "n1") {
    sessions->Received({agent(node).session_, std::make_shared<api::ConnectRequest>(request)}, now);
  }

  const api::Goodbye* Goodbye(const std::string& node = "n1") {
    for (const api::ConnectResponse& message : agent(node).received) {
      if (message.has_goodbye()) return &message.goodbye();
    }
    return nullptr;
  }

  int Grants(const std::string& node = "n1") {
    int count = 0;
    for (const api::ConnectResponse& message : agent(node).received) {
      count += message.has_lease_granted();
    }
    return count;
  }

  const api::Welcome& Welcome(const std::string& node = "n1") {
    return agent(node).received.at(0).welcome();
  }

  // A stream of a node without a fake agent behind it.
  std::vector<Effect> Open(SessionId session, const std::string& node, const std::string& uid,
                           const api::Hello& hello) {
    AgentConnected event;
    event.session = session;
    event.node = node;
    event.node_uid = uid;
    event.peer = "10.9.9.9:1";
    event.secret = "other";
    sessions->Connected(event, now);
    api::ConnectRequest request;
    *request.mutable_hello() = hello;
    sessions->Received({session, std::make_shared<api::ConnectRequest>(request)}, now);
    return sessions->Collect(now);
  }

  static const api::ConnectResponse* First(const std::vector<Effect>& effects, SessionId session) {
    for (const Effect& effect : effects) {
      const auto* send = std::get_if<SendToAgent>(&effect);
      if (send != nullptr && send->session == session) return send->message.get();
    }
    return nullptr;
  }

  api::NodeState StateOf(const std::string& node) const {
    return catalog.nodes.Find("nodes/" + node)->node().status().state();
  }
};

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

TEST_CASE("session: an identity that is not accepted gets a final goodbye") {
  Stage stage;
  std::string why;
  std::string node = "n1";
  std::string uid = "uid-n1";
  SECTION("unknown") {
    node = "n9";
    why = "There is no node n9";
  }
  SECTION("enrolled anew since") {
    uid = "uid-older";
    why = "belongs to a former node n1";
  }
  SECTION("revoked") {
    stage.catalog.nodes.Mutate("nodes/n1").set_revoked(true);
    why = "is revoked";
  }
  const auto effects = stage.Open(77, node, uid, {});
  const api::ConnectResponse* message = Stage::First(effects, 77);
  REQUIRE(message != nullptr);
  CHECK(message->goodbye().final());
  CHECK(message->goodbye().reason().find(why) != std::string::npos);
  bool closed = false;
  for (const Effect& effect : effects) {
    const auto* close = std::get_if<CloseAgent>(&effect);
    closed = closed || (close != nullptr && close->session == 77);
  }
  CHECK(closed);
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

TEST_CASE("session: hello comes in parts") {
  Stage stage;
  stage.AddApp("web", Spec(2));
  stage.Run();
  stage.Disconnect("n1");
  const api::ConnectRequest whole = stage.agent("n1").Hello({});
  AgentConnected event;
  event.session = 77;
  event.node = "n1";
  event.node_uid = "uid-n1";
  stage.sessions->Connected(event, stage.now);
  for (int i = 0; i < 2; ++i) {
    api::ConnectRequest part;
    if (i == 0) part.mutable_hello()->mutable_capacity()->set_memory_bytes(5);
    if (i == 0) *part.mutable_hello()->mutable_position() = stage.Welcome().position();
    *part.mutable_hello()->add_instances() = whole.hello().instances(i);
    part.mutable_hello()->set_more(i == 0);
    stage.sessions->Received({77, std::make_shared<api::ConnectRequest>(part)}, stage.now);
  }
  const auto welcome = stage.sessions->Collect(stage.now);
  CHECK(Stage::First(welcome, 77)->has_welcome());
  stage.sessions->Writable(77, stage.now);
  const auto differences = stage.sessions->Collect(stage.now);
  CHECK(Stage::First(differences, 77)->assignments().assignments().empty());
  CHECK(stage.catalog.nodes.Find("nodes/n1")->node().status().capacity().memory_bytes() == 5);
}

TEST_CASE("session: on connect only differences are told") {
  Stage stage;
  stage.AddApp("web", Spec(3));
  stage.Run();
  FakeAgent& before = stage.agent("n1");
  const std::string lost = before.held.begin()->first;
  before.held.erase(lost);
  const std::string stale = before.held.begin()->first;
  before.held.begin()->second.assignment.set_digest("older");
  stage.Disconnect("n1");
  FakeAgent& after = stage.Connect("n1");
  stage.Run();
  std::set<std::string> told;
  for (const auto& assignment : after.received.at(1).assignments().assignments()) {
    told.insert(assignment.uid());
    CHECK(assignment.desired() == api::DESIRED_STATE_RUN);
  }
  CHECK(told == std::set<std::string>{lost, stale});
}

TEST_CASE("session: an instance that the catalog does not know is removed, but never its data") {
  Stage stage;
  stage.Disconnect("n1");
  FakeAgent::Held& held = stage.agent("n1").held["stranger"];
  held.assignment.set_uid("stranger");
  held.assignment.set_generation(4);
  api::Hello hello;
  SECTION("known history") {
    FakeAgent& agent = stage.Connect("n1", hello);
    stage.Run();
    const api::Assignment& removal = agent.received.at(1).assignments().assignments(0);
    CHECK(removal.uid() == "stranger");
    CHECK(removal.desired() == api::DESIRED_STATE_REMOVE);
    CHECK(removal.generation() == 5);
    CHECK_FALSE(removal.purge_data());
    CHECK(agent.held.empty());  // Its report was acknowledged.
    CHECK(stage.sessions->counters().unknown_statuses == 1);
  }
  SECTION("a foreign catalog removes nothing") {
    hello.mutable_position()->set_catalog_uid("another");
    hello.mutable_position()->set_timeline("t1");
  }
  SECTION("an older copy of the catalog removes nothing") {
    hello.mutable_position()->set_catalog_uid("catalog");
    hello.mutable_position()->set_timeline("t1");
    hello.mutable_position()->set_log_index(1'000'000);
  }
  SECTION("a timeline that this catalog does not know removes nothing") {
    hello.mutable_position()->set_catalog_uid("catalog");
    hello.mutable_position()->set_timeline("t9");
  }
  if (hello.has_position()) {
    FakeAgent& agent = stage.Connect("n1", hello);
    stage.Run();
    CHECK(agent.received.at(1).assignments().assignments().empty());
    CHECK(agent.held.size() == 1);
  }
}

TEST_CASE("session: an agent that is ahead of the catalog is told under a higher generation") {
  Stage stage;
  stage.AddApp("web", Spec());
  stage.Run();
  stage.Disconnect("n1");
  stage.agent("n1").held.begin()->second.assignment.set_generation(50);
  FakeAgent& agent = stage.Connect("n1");
  stage.Run();
  CHECK(agent.held.begin()->second.assignment.generation() == 51);
  CHECK(stage.instances("web")[0].applied_generation() == 51);
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
  stage.AddApp("web", Spec());
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
  stage.AddApp("web", Spec());
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
  stage.AddApp("web", Spec());
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

TEST_CASE("lease: a heartbeat extends it, the newest is answered") {
  Stage stage;
  for (int i = 0; i < 10; ++i) {
    stage.Beat();
    stage.Advance(absl::Seconds(3));
  }
  CHECK(stage.Grants() == 10);
  CHECK(stage.StateOf("n1") == api::NODE_STATE_READY);
  api::NodeStatus status;
  stage.sessions->FillStatus("nodes/n1", stage.now, &status);
  CHECK(status.lease_expire_time().seconds() - absl::ToUnixSeconds(stage.now.wall) == 7);
}

TEST_CASE("lease: an open stream without heartbeats loses it, and its stream") {
  Stage stage;
  stage.Advance(absl::Seconds(11));
  CHECK(stage.StateOf("n1") == api::NODE_STATE_LOST);
  CHECK(stage.Goodbye() != nullptr);
  CHECK_FALSE(stage.sessions->Connected("nodes/n1"));
  CHECK(stage.sessions->Lost("nodes/n1"));
}

TEST_CASE("lease: a lost node gets no grant before it has applied what it is told") {
  Stage stage;
  stage.AddApp("web", Spec());
  stage.Run();
  stage.Disconnect("n1");
  stage.Advance(absl::Seconds(11));
  REQUIRE(stage.StateOf("n1") == api::NODE_STATE_LOST);

  api::Hello hello;
  hello.set_machine_id("machine-n1");
  stage.Open(77, "n1", "uid-n1", hello);
  api::ConnectRequest beat;
  beat.mutable_heartbeat()->set_number(1);
  stage.sessions->Received({77, std::make_shared<api::ConnectRequest>(beat)}, stage.now);
  stage.sessions->Writable(77, stage.now);
  const auto told = stage.sessions->Collect(stage.now);
  REQUIRE(Stage::First(told, 77)->has_assignments());
  stage.sessions->Writable(77, stage.now);
  CHECK(stage.sessions->Collect(stage.now).empty());
  CHECK_FALSE(stage.sessions->Connected("nodes/n1"));

  api::ConnectRequest applied;
  applied.mutable_assignments_applied()->set_version(1);
  stage.sessions->Received({77, std::make_shared<api::ConnectRequest>(applied)}, stage.now);
  CHECK(stage.sessions->Connected("nodes/n1"));
  const auto granted = stage.sessions->Collect(stage.now);
  REQUIRE(Stage::First(granted, 77) != nullptr);
  CHECK(Stage::First(granted, 77)->lease_granted().number() == 1);
}

TEST_CASE("lease: after an entry's start nobody is lost for two leases") {
  Stage stage;
  stage.sessions = std::make_unique<Sessions>(stage.options, stage.catalog, stage.dirty,
                                              stage.random, 2, "t2", stage.now);
  stage.agent("n1").closed = true;
  stage.Run();
  stage.Advance(absl::Seconds(19));
  CHECK(stage.StateOf("n1") == api::NODE_STATE_READY);
  stage.Advance(absl::Seconds(2));
  CHECK(stage.StateOf("n1") == api::NODE_STATE_LOST);
}

TEST_CASE("command: is sent, answered and forgotten") {
  Stage stage;
  std::vector<std::string> heard;
  api::Command command;
  command.mutable_read_log()->set_instance_uid("u1");
  auto id = stage.sessions->SendCommand(
      "nodes/n1", command, [&](const api::LogChunk* chunk, const absl::Status& status) {
        heard.push_back(chunk != nullptr ? chunk->data() : status.ToString());
      });
  REQUIRE(id.ok());
  stage.Run();
  CHECK(stage.agent("n1").received.back().command().id() == *id);
  api::ConnectRequest chunk;
  chunk.mutable_log_chunk()->set_command_id(*id);
  chunk.mutable_log_chunk()->set_data("hello");
  stage.Send(chunk);
  api::ConnectRequest result;
  result.mutable_command_result()->set_id(*id);
  stage.Send(result);
  stage.Send(result);
  CHECK(heard == std::vector<std::string>{"hello", "OK"});
}

TEST_CASE("command: fails without a node, with too many, and when the session ends") {
  Stage stage;
  int failed = 0;
  auto on_result = [&](const api::LogChunk*, const absl::Status& status) {
    failed += status.code() == absl::StatusCode::kUnavailable;
  };
  CHECK(stage.sessions->SendCommand("nodes/n9", {}, on_result).status().code() ==
        absl::StatusCode::kUnavailable);
  for (int i = 0; i < 64; ++i) {
    CHECK(stage.sessions->SendCommand("nodes/n1", {}, on_result).ok());
  }
  CHECK(stage.sessions->SendCommand("nodes/n1", {}, on_result).status().code() ==
        absl::StatusCode::kResourceExhausted);
  stage.Disconnect("n1");
  CHECK(failed == 64);
}

TEST_CASE("command: cancelling one that was sent tells the agent") {
  Stage stage;
  int heard = 0;
  auto on_result = [&](const api::LogChunk*, const absl::Status&) { ++heard; };
  const int64_t unsent = *stage.sessions->SendCommand("nodes/n1", {}, on_result);
  stage.sessions->CancelCommand("nodes/n1", unsent);
  const int64_t sent = *stage.sessions->SendCommand("nodes/n1", {}, on_result);
  stage.Run();
  stage.sessions->CancelCommand("nodes/n1", sent);
  stage.Run();
  const auto& received = stage.agent("n1").received;
  CHECK(received[received.size() - 2].command().id() == sent);
  CHECK(received.back().cancel_command().id() == sent);
  stage.Disconnect("n1");
  CHECK(heard == 0);
}

}  // namespace
}  // namespace appsup::entry
