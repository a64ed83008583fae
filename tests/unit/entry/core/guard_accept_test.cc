#include <catch2/catch.hpp>

#include "appsupervisor/v1/node_service.pb.h"
#include "common/status.h"
#include "tests/support/core_requests.h"
#include "tests/support/guard_stage.h"

// AcceptCatalog, and what becomes of a guard over time.
namespace appsup::entry {
namespace {

TEST_CASE("guard: accepting is durable before it is told, and outlives the entry") {
  GuardStage stage;
  stage.RestoreOlderCopy();
  SECTION("a restart before it is durable forgets it") {
    stage.entry.HoldCommits(true);
    stage.entry.Send("NodeService/AcceptCatalog", stage.AcceptRequest("nodes/n1"));
    CHECK(stage.entry.ToAgent(stage.agent->fake.session_).empty());
    stage.entry.Restart();
    stage.Connect();
    CHECK(stage.State() == api::NODE_STATE_GUARDED);
  }
  SECTION("a restart before the agent is back") {
    auto accepted = stage.Accept("nodes/n1");
    REQUIRE(accepted.ok());
    REQUIRE(accepted->nodes_size() == 1);
    CHECK(accepted->nodes(0) == "nodes/n1");
    CHECK(stage.State() == api::NODE_STATE_GUARDED);
    CHECK(stage.NodeCondition("CatalogAccepted").reason() == "Accepting");
    stage.agent->Run();
    CHECK(stage.agent->fake.closed);
    stage.entry.Restart();
    stage.Connect();
    CHECK(stage.State() == api::NODE_STATE_READY);
    CHECK(stage.agent->fake.guard.empty());
    CHECK(stage.RunningApps() == std::vector<std::string>{"web"});
  }
  SECTION("an agent that missed it is told again") {
    REQUIRE(stage.Accept("nodes/n1").ok());
    stage.Disconnect();
    stage.entry.Connect("n1", stage.agent->fake.Hello({}).hello());  // Its Welcome is lost.
    stage.entry.Restart();
    stage.Connect();
    CHECK(stage.State() == api::NODE_STATE_READY);
    CHECK(stage.agent->fake.guard.empty());
  }
  SECTION("an agent with another position is guarded again") {
    REQUIRE(stage.Accept("nodes/n1").ok());
    const api::Position seen = stage.agent->fake.position;
    stage.agent->fake.position.set_log_index(seen.log_index() + 1);
    stage.Connect();
    CHECK(stage.State() == api::NODE_STATE_GUARDED);
    CHECK(stage.RunningApps() == std::vector<std::string>{"later", "web"});
    // Nor does it help to go back: that is not the node that was looked at.
    stage.agent->fake.position = seen;
    stage.Connect();
    CHECK(stage.State() == api::NODE_STATE_GUARDED);
  }
  CHECK(stage.agent->fake.guard_refused.empty());
}

TEST_CASE("guard: accepting holds for one loss of the journal, not for the next") {
  GuardStage stage;
  stage.Create("web");
  stage.Disconnect();
  stage.LoseJournal();
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  stage.AcceptAndConnect();
  CHECK(stage.State() == api::NODE_STATE_READY);
  stage.Disconnect();
  stage.LoseJournal();
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
}

TEST_CASE("guard: accepting is for nodes that are guarded, and may be said twice") {
  GuardStage stage;
  CHECK(stage.Accept("nodes/n9").status().code() == absl::StatusCode::kNotFound);
  CHECK(stage.Accept("n1").status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(stage.Accept("").status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(ErrorReason(stage.Accept("nodes/n1").status()) == "NODE_NOT_GUARDED");
  CHECK(ErrorReason(stage.Accept("nodes/-").status()) == "NODE_NOT_GUARDED");
  CHECK(stage.Accept("nodes/-").status().code() == absl::StatusCode::kFailedPrecondition);
  stage.Create("web");
  stage.entry.Restore({});
  stage.Found();
  stage.Connect();
  api::AcceptCatalogRequest request = stage.AcceptRequest("nodes/n1");
  request.set_request_id("11111111-2222-4333-8444-555555555555");
  const auto accept = [&] {
    return stage.entry.Call<api::AcceptCatalogResponse>("NodeService/AcceptCatalog", request);
  };
  REQUIRE(accept().ok());
  REQUIRE(accept().ok());
  // Said again before the agent is back, it means the same.
  REQUIRE(stage.Accept("nodes/n1").ok());
  REQUIRE(stage.Accept("nodes/-").ok());
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_READY);
  CHECK(ErrorReason(stage.Accept("nodes/n1").status()) == "NODE_NOT_GUARDED");
  auto repeated = accept();
  REQUIRE(repeated.ok());
  CHECK(repeated->nodes_size() == 1);
}

TEST_CASE("guard: all guarded nodes are accepted at once, but none that was revoked") {
  GuardStage stage;
  stage.entry.AddNode("n2", "eu");
  stage.entry.AddNode("n3", "eu");
  PlayedAgent second(stage.entry, "n2");
  PlayedAgent third(stage.entry, "n3");
  stage.Create("web", 3);
  second.Run();
  third.Run();
  REQUIRE(second.fake.held.size() == 1);
  REQUIRE(third.fake.held.size() == 1);
  stage.entry.Restore({});
  stage.Found();
  stage.entry.AddNode("n2", "eu");
  stage.entry.AddNode("n3", "eu");
  stage.Connect();
  second.Connect();
  third.Connect();
  CHECK(stage.State("n2") == api::NODE_STATE_GUARDED);
  api::RevokeNodeRequest revoke;
  revoke.set_name("nodes/n3");
  REQUIRE(stage.entry.Call<api::Node>("NodeService/RevokeNode", revoke).ok());
  CHECK(stage.State("n3") == api::NODE_STATE_REVOKED);
  CHECK(ErrorReason(stage.Accept("nodes/n3").status()) == "NODE_REVOKED");
  auto accepted = stage.Accept("nodes/-");
  REQUIRE(accepted.ok());
  REQUIRE(accepted->nodes_size() == 2);
  CHECK(accepted->nodes(1) == "nodes/n2");
  stage.Connect();
  second.Connect();
  CHECK(stage.State("n2") == api::NODE_STATE_READY);
  CHECK(second.fake.held.empty());
  CHECK(third.fake.held.size() == 1);
}

TEST_CASE("guard: a guarded node that is silent is lost, and guarded again when it is back") {
  GuardStage stage;
  stage.Create("web");
  const GuardStage::Picture before = stage.Running();
  stage.entry.Restore({});
  stage.Found();
  stage.Connect();
  stage.Disconnect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  stage.entry.Advance(absl::Minutes(1));
  CHECK(stage.State() == api::NODE_STATE_LOST);
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  CHECK(stage.Running() == before);
  // Accepted while it is away.
  stage.Disconnect();
  stage.entry.Advance(absl::Minutes(1));
  REQUIRE(stage.Accept("nodes/-").ok());
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_READY);
  CHECK(stage.Running().empty());
}

TEST_CASE("guard: a machine that is enrolled anew is judged by its first Hello") {
  GuardStage stage;
  stage.Create("web");
  stage.entry.Restore({});
  stage.Found();
  stage.Connect();
  REQUIRE(stage.Accept("nodes/n1").ok());
  stage.Disconnect();
  stage.entry.AddNode("n1", "eu");
  CHECK(stage.State() == api::NODE_STATE_UNSPECIFIED);
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
}

TEST_CASE("guard: it is logged once when it begins, is accepted and ends") {
  GuardStage stage;
  stage.Create("web");
  stage.entry.Restore({});
  stage.Found();
  stage.entry.TakeNotes();
  stage.Connect();
  stage.Connect();
  stage.AcceptAndConnect();
  std::vector<std::string> events;
  for (const Note& note : stage.entry.TakeNotes()) {
    if (Contains(note.event, "guarded") || Contains(note.event, "catalog")) {
      events.push_back(note.event);
      CHECK(note.fields.at(0) == std::pair<std::string, std::string>("node", "n1"));
    }
  }
  CHECK(events == std::vector<std::string>{"node-guarded", "catalog-accepted", "node-unguarded"});
}

}  // namespace
}  // namespace appsup::entry
