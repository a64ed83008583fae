#include <catch2/catch.hpp>

#include "appsupervisor/v1/node_service.pb.h"
#include "entry/core/node_guard.h"
#include "tests/support/core_requests.h"
#include "tests/support/guard_stage.h"

namespace appsup::entry {
namespace {

TEST_CASE("guard: an empty catalog stops and removes nothing, also when it has grown") {
  GuardStage stage;
  stage.Create("web");
  stage.Create("shop");
  const GuardStage::Picture before = stage.Running();
  REQUIRE(before.size() == 2);
  stage.entry.Restore({});
  stage.Found();
  stage.Connect();
  CHECK(stage.Running() == before);
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  const api::Condition condition = stage.NodeCondition("CatalogAccepted");
  CHECK(condition.status() == api::CONDITION_STATUS_FALSE);
  CHECK(condition.reason() == "Guarded");
  CHECK(Contains(condition.message(), "this is another catalog"));
  CHECK(Contains(condition.message(), "It holds 2 instances, of which 2 are unknown here"));
  CHECK(Contains(condition.message(), "`appsup nodes accept n1`"));
  CHECK(stage.agent->fake.guard == condition.message());

  stage.Grow();
  stage.Connect();
  CHECK(stage.Running() == before);
  CHECK(stage.State() == api::NODE_STATE_GUARDED);

  REQUIRE(stage.Accept("nodes/n1").ok());
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_READY);
  CHECK(stage.NodeCondition("CatalogAccepted").status() == api::CONDITION_STATUS_TRUE);
  CHECK(stage.agent->fake.guard.empty());
  CHECK(stage.Running().empty());
  CHECK(stage.agent->fake.guard_refused.empty());
}

TEST_CASE("guard: an agent without the secret of the node's last session is a copy, and guarded") {
  GuardStage stage;
  stage.Create("web");
  stage.Create("shop");
  const GuardStage::Picture before = stage.Running();
  stage.Disconnect();
  stage.Delete("shop");
  SECTION("its disk is an old one") {
    stage.agent->fake.secret = "of long ago";
    stage.Connect();
    CHECK(stage.State() == api::NODE_STATE_GUARDED);
    CHECK(Contains(stage.NodeCondition("CatalogAccepted").message(), "secret of its last session"));
    CHECK(stage.KeepsRunning(before));
    stage.AcceptAndConnect();
    CHECK(stage.State() == api::NODE_STATE_READY);
    CHECK(stage.Running().size() == 1);
  }
  SECTION("it died before it kept the newest one: it is what it was") {
    const std::string kept = stage.agent->fake.secret;
    stage.entry.Connect("n1", stage.agent->fake.Hello({}).hello());
    stage.agent->fake.session_ = 0;
    stage.entry.Advance(stage.entry.options.lease + absl::Seconds(1));
    stage.agent->fake.secret = kept;
    stage.Connect();
    CHECK(stage.State() != api::NODE_STATE_GUARDED);
    CHECK(stage.Running().size() == 1);
  }
}

TEST_CASE("guard: a foreign catalog adds what it wants and leaves the rest alone") {
  GuardStage stage;
  stage.entry.Restore({});
  stage.Found();
  stage.Create("other");
  const CoreHarness::Backup foreign = stage.entry.TakeBackup();
  stage.entry.Restore({});
  stage.Found();
  stage.agent = std::make_unique<PlayedAgent>(stage.entry, "n1");
  stage.Create("web");
  const CoreHarness::Backup own = stage.entry.TakeBackup();
  const GuardStage::Picture before = stage.Running();
  REQUIRE(before.size() == 1);

  stage.entry.Restore(foreign);
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  CHECK(stage.Running().size() == 2);
  CHECK(stage.Running().at(before.begin()->first) == before.begin()->second);

  // The right catalog is back, but the agent cannot know that it is.
  stage.entry.Restore(own);
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  CHECK(Contains(stage.NodeCondition("CatalogAccepted").message(), "has been guarded since"));
  CHECK(stage.Running().size() == 2);
  REQUIRE(stage.Accept("nodes/n1").ok());
  stage.Connect();
  CHECK(stage.Running() == before);
  CHECK(stage.agent->fake.guard_refused.empty());
}

TEST_CASE("guard: a catalog restored from a backup changes nothing, and grows past the old index") {
  GuardStage stage;
  stage.Create("stopped-since");
  stage.Create("updated-since");
  stage.Create("same");
  const CoreHarness::Backup backup = stage.entry.TakeBackup();
  stage.Stop("stopped-since");
  stage.Edit("updated-since");
  stage.Create("made-since");
  const int64_t old_index = stage.agent->fake.position.log_index();
  const GuardStage::Picture before = stage.Running();
  REQUIRE(before.size() == 3);

  stage.entry.Restore(backup);
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  CHECK(Contains(stage.NodeCondition("CatalogAccepted").message(), "was restored from a backup"));
  CHECK(stage.KeepsRunning(before));
  // It does not even need the agent's latch: an index that is reached again is another's.
  stage.Grow(old_index + 20);
  REQUIRE(stage.entry.catalog().last_index() > old_index);
  const bool latched = GENERATE(true, false);
  if (!latched) stage.agent->fake.guard.clear();
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  CHECK(stage.KeepsRunning(before));
  CHECK(stage.agent->fake.position.log_index() == old_index);
  CHECK(stage.OnlyAddedSinceHello());

  REQUIRE(stage.Accept("nodes/n1").ok());
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_READY);
  // As the backup has it: made-since is unknown, the others run as they did then.
  CHECK(stage.RunningApps() == std::vector<std::string>{"same", "stopped-since", "updated-since"});
  CHECK(stage.agent->fake.position.timeline() != "timeline-1");
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_READY);
  CHECK(stage.agent->fake.guard_refused.empty());
}

TEST_CASE("guard: what a node runs without a journal is adopted, and the rest waits") {
  GuardStage stage;
  stage.Create("web");
  stage.Create("stopped");
  stage.Disconnect();
  const GuardStage::Picture before = stage.Running();
  stage.Stop("stopped");
  const rec::InstanceRecord known = stage.Instance("web");
  REQUIRE(known.instance().sequence() > 0);
  const size_t starts = stage.agent->fake.started.size();
  stage.LoseJournal();
  stage.AddStranger("nobody");
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  CHECK(Contains(stage.NodeCondition("CatalogAccepted").message(), "its journal was lost"));
  CHECK(Contains(stage.NodeCondition("CatalogAccepted").message(),
                 "It holds 3 instances, of which 1 is unknown here"));
  const auto told = stage.ToldSinceHello();
  REQUIRE(told.size() == 1);
  CHECK(told[0].uid() == known.instance().uid());
  CHECK(told[0].known_attempt() == known.instance().attempt());
  CHECK(told[0].known_sequence() == known.instance().sequence());
  CHECK(told[0].digest() == known.digest());  // It does not cover these.
  CHECK(stage.KeepsRunning(before));
  CHECK(stage.Instance("web").instance().sequence() > known.instance().sequence());
  // The next time it holds it, and is told nothing.
  stage.Connect();
  CHECK(stage.ToldSinceHello().empty());

  REQUIRE(stage.Accept("nodes/n1").ok());
  stage.Connect();
  CHECK(stage.RunningApps() == std::vector<std::string>{"web"});
  CHECK(stage.agent->fake.started.size() == starts);
  CHECK(stage.agent->fake.guard_refused.empty());
}

TEST_CASE("guard: a setup that was told to a node which lost its journal may have run there") {
  const bool lost = GENERATE(true, false);
  GuardStage stage;
  api::CreateAppRequest request = NewApp("web");
  request.mutable_app()->mutable_spec()->mutable_setup()->add_command("migrate");
  // The agent hears of it, but no word of it comes back.
  REQUIRE(stage.entry.Call<api::Operation>("AppService/CreateApp", request).ok());
  if (lost) stage.LoseJournal();
  stage.Connect();
  const auto told = stage.ToldSinceHello();
  REQUIRE_FALSE(told.empty());
  CHECK(told[0].setup());
  CHECK(told[0].known_attempt() == (lost ? 1 : 0));
}

TEST_CASE("guard: a node that holds nothing is never guarded") {
  GuardStage stage;
  stage.Create("web");
  stage.Delete("web");
  REQUIRE(stage.agent->fake.held.empty());
  stage.entry.Restore({});
  stage.Found();
  stage.Connect();
  CHECK(stage.State() == api::NODE_STATE_READY);
  CHECK(IsOnHistory(stage.entry.catalog(), stage.agent->fake.position));
}

TEST_CASE("guard: a node that does not see its processes yet keeps its own position") {
  GuardStage stage;
  stage.Disconnect();
  const SessionId session = stage.ConnectWithoutDriver();
  for (const api::ConnectResponse& message : stage.entry.ToAgent(session)) {
    CHECK_FALSE(message.assignments().has_position());
  }
  CHECK(stage.State() == api::NODE_STATE_READY);
}

TEST_CASE("guard: only what is new is told, also later and after a gap") {
  GuardStage stage;
  stage.Create("web");
  stage.Create("shop");
  const GuardStage::Picture before = stage.Running();
  const CoreHarness::Backup backup = stage.entry.TakeBackup();
  stage.Create("later");
  stage.entry.Restore(backup);
  stage.Connect();
  REQUIRE(stage.State() == api::NODE_STATE_GUARDED);
  stage.Edit("web");
  stage.Stop("shop");
  stage.Create("new");
  const std::string added = stage.Instance("new").instance().uid();
  CHECK(stage.KeepsRunning(before));
  CHECK(stage.Condition("new", "Ready").status() == api::CONDITION_STATUS_TRUE);
  // What was added is held from then on.
  stage.Stop("new");
  CHECK(stage.agent->fake.held.at(added).assignment.desired() == api::DESIRED_STATE_RUN);
  CHECK(stage.OnlyAddedSinceHello());

  stage.agent->fake.received.clear();
  api::ConnectRequest gap;
  gap.mutable_assignments_applied()->set_resync(true);
  stage.agent->Say(gap);
  stage.agent->Run();
  REQUIRE(stage.agent->fake.received.back().assignments().end());
  CHECK(stage.OnlyAddedSinceHello());
  CHECK(stage.agent->fake.guard_refused.empty());
}

TEST_CASE("guard: what waits for a guarded node says so") {
  GuardStage stage;
  stage.RestoreOlderCopy();
  const std::string why =
      "1 instance cannot be changed: node n1 is guarded against this catalog until "
      "`appsup nodes accept n1`.";
  const std::string verb = GENERATE("stop", "delete", "restart", "update");
  INFO(verb);
  const bool waits = GENERATE(true, false);
  api::Operation operation = verb == "stop"     ? stage.Stop("web")
                             : verb == "delete" ? stage.Delete("web")
                             : verb == "restart"
                                 ? *Verb<api::RestartAppRequest>(stage.entry, "RestartApp", "web")
                                 : stage.Edit("web", /*recreate=*/true);
  stage.agent->Run();
  operation = *GetOperation(stage.entry, operation.name());
  CHECK_FALSE(operation.done());
  CHECK(Contains(operation.progress().message(), why));
  if (verb == "update") CHECK(Contains(stage.Condition("web", "UpToDate").message(), why));
  if (!waits) {
    stage.AcceptAndConnect();
    operation = *GetOperation(stage.entry, operation.name());
    CHECK(operation.done());
    CHECK_FALSE(operation.has_error());
  } else if (verb != "delete") {
    stage.Wait(absl::Minutes(11));
    operation = *GetOperation(stage.entry, operation.name());
    CHECK(operation.done());
    CHECK(Contains(operation.error().message(), why));
  }
  CHECK(stage.agent->fake.guard_refused.empty());
}

TEST_CASE("guard: a drain of a guarded node says why it waits") {
  GuardStage stage;
  stage.RestoreOlderCopy();
  api::DrainNodeRequest request;
  request.set_name("nodes/n1");
  api::Operation operation = *stage.entry.Call<api::Operation>("NodeService/DrainNode", request);
  stage.agent->Run();
  operation = *GetOperation(stage.entry, operation.name());
  CHECK_FALSE(operation.done());
  CHECK(Contains(operation.progress().message(), "cannot leave: the node is guarded"));
  CHECK(Contains(operation.progress().message(),
                 "Nothing is stopped on the node until `appsup nodes accept n1`."));
  CHECK(stage.State() == api::NODE_STATE_GUARDED);
  stage.AcceptAndConnect();
  CHECK(stage.State() == api::NODE_STATE_DRAINING);
}

}  // namespace
}  // namespace appsup::entry
