#include "entry/core/lease.h"

#include <catch2/catch.hpp>

#include "tests/support/link_stage.h"

namespace appsup::entry {
namespace {

using Stage = LinkStage;
constexpr auto Spec = LinkSpec;

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

TEST_CASE("lease: a lost node's stream that falls silent ends, too") {
  Stage stage;
  stage.AddApp("web", Spec(1));
  stage.Run();
  stage.Disconnect("n1");
  stage.Advance(absl::Seconds(11));
  REQUIRE(stage.StateOf("n1") == api::NODE_STATE_LOST);
  api::Hello hello;
  hello.set_machine_id("machine-n1");
  stage.Open(77, "n1", "uid-n1", hello);
  api::ConnectRequest beat;
  beat.mutable_heartbeat()->set_number(1);
  const auto ends = [&] {
    const std::vector<Effect> effects = stage.sessions->Collect(stage.now);
    const api::ConnectResponse* message = Stage::First(effects, 77);
    return message != nullptr && message->has_goodbye();
  };
  stage.now.boot += absl::Seconds(9);
  stage.sessions->Received({77, std::make_shared<api::ConnectRequest>(beat)}, stage.now);
  CHECK(stage.sessions->next_deadline() <= stage.now.boot + absl::Seconds(10));
  stage.now.boot += absl::Seconds(9);
  stage.sessions->Expire(stage.now);
  stage.sessions->Writable(77, stage.now);
  CHECK_FALSE(ends());
  stage.sessions->Writable(77, stage.now);
  stage.now.boot += absl::Seconds(2);
  stage.sessions->Expire(stage.now);
  CHECK(ends());
}

TEST_CASE("lease: a lost node gets no grant before it has applied what it is told") {
  Stage stage;
  stage.AddApp("web", Spec(1));
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

}  // namespace
}  // namespace appsup::entry
