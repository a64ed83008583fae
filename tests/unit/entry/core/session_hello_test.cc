#include "entry/core/session_hello.h"

#include <catch2/catch.hpp>

#include "tests/support/link_stage.h"

namespace appsup::entry {
namespace {

using Stage = LinkStage;
constexpr auto Spec = LinkSpec;

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

TEST_CASE("session: a large fleet is told to send heartbeats less often, but twice per lease") {
  CoreOptions options;
  options.heartbeat_period = absl::Seconds(3);
  options.lease = absl::Seconds(10);
  CHECK(HeartbeatPeriod(options, 1) == absl::Seconds(3));
  CHECK(HeartbeatPeriod(options, 3'000) == absl::Seconds(3));
  CHECK(HeartbeatPeriod(options, 4'000) == absl::Seconds(4));
  CHECK(HeartbeatPeriod(options, 100'000) == absl::Seconds(5));
  options.lease = absl::Seconds(60);
  CHECK(HeartbeatPeriod(options, 20'000) == absl::Seconds(20));
}

TEST_CASE("session: welcome tells the period for the nodes of the catalog") {
  Stage stage;
  for (int i = 0; i < 4'000; ++i) {
    rec::NodeRecord record;
    record.mutable_node()->set_name("nodes/other-" + std::to_string(i));
    record.mutable_node()->set_uid("uid-other-" + std::to_string(i));
    record.mutable_node()->set_environment("eu");
    stage.catalog.nodes.Insert(record.node().name(), record);
  }
  const auto effects = stage.Open(77, "other-0", "uid-other-0", {});
  const api::ConnectResponse* message = Stage::First(effects, 77);
  REQUIRE(message != nullptr);
  CHECK(stage.Welcome().heartbeat_period().seconds() == 3);
  CHECK(message->welcome().heartbeat_period().seconds() == 4);
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
    CHECK(agent.received.at(1).assignments().has_position());
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
    // Else the next connection would come from this catalog's history, and remove it.
    CHECK_FALSE(agent.received.at(1).assignments().has_position());
  }
}

TEST_CASE("session: an agent that is ahead of the catalog is told under a higher generation") {
  Stage stage;
  stage.AddApp("web", Spec(1));
  stage.Run();
  stage.Disconnect("n1");
  stage.agent("n1").held.begin()->second.assignment.set_generation(50);
  FakeAgent& agent = stage.Connect("n1");
  stage.Run();
  CHECK(agent.held.begin()->second.assignment.generation() == 51);
  CHECK(stage.instances("web")[0].applied_generation() == 51);
}

}  // namespace
}  // namespace appsup::entry
