// What a faulty link does to assignments and statuses: gaps, repetitions, old news on a new stream,
// a peer that does not read. Real streams over loopback, with the agent's real core at their end.
#include <catch2/catch.hpp>

#include "appsupervisor/v1/app_service.grpc.pb.h"
#include "tests/integration/link/entry_fixture.h"
#include "tests/integration/link/linked_agent.h"
#include "tests/integration/link/scripted_entry.h"

namespace appsup::testing {
namespace {

namespace v1 = ::appsupervisor::v1;
using agent::RunAssignment;
using agent::With;

// A scripted entry and an agent that it has welcomed.
struct Script {
  Script() { Welcome(); }

  void Welcome() {
    REQUIRE(agent.Until([&] { return !entry.heard().empty(); }));
    v1::ConnectResponse message;
    message.mutable_welcome()->set_session_secret("secret");
    message.mutable_welcome()->set_node("n1");
    Say(std::move(message));
    REQUIRE(agent.Until([&] { return agent.world.core->figures().connected; }));
  }
  void Say(v1::ConnectResponse message) {
    message.set_timeline("t1");
    message.set_epoch(1);
    entry.Say(message);
  }
  void Increment(int64_t base, const std::vector<v1::Assignment>& assignments) {
    v1::ConnectResponse message;
    message.mutable_assignments()->set_type(v1::ASSIGNMENTS_TYPE_INCREMENTAL);
    message.mutable_assignments()->set_base(base);
    message.mutable_assignments()->set_version(base + 1);
    for (const auto& it : assignments) *message.mutable_assignments()->add_assignments() = it;
    Say(std::move(message));
  }
  void Complete(int64_t version, const std::vector<v1::Assignment>& assignments) {
    v1::ConnectResponse message;
    v1::Assignments& set = *message.mutable_assignments();
    set.set_type(v1::ASSIGNMENTS_TYPE_COMPLETE);
    set.set_version(version);
    set.set_begin(true);
    set.set_end(true);
    for (const auto& it : assignments) *set.add_assignments() = it;
    Say(std::move(message));
  }
  // The agent's newest answer to assignments has come.
  bool Answered(int64_t version, bool resync) {
    return agent.Until([&] {
      v1::AssignmentsApplied newest;
      for (const v1::ConnectRequest& request : entry.heard()) {
        if (request.has_assignments_applied()) newest = request.assignments_applied();
      }
      return newest.version() == version && newest.resync() == resync;
    });
  }
  std::vector<v1::InstanceStatus> Statuses() {
    std::vector<v1::InstanceStatus> statuses;
    for (const v1::ConnectRequest& request : entry.heard()) {
      const auto& instances = request.status().instances();
      statuses.insert(statuses.end(), instances.begin(), instances.end());
    }
    return statuses;
  }
  void Break() {
    const int before = agent.streams();
    entry.Break();
    REQUIRE(agent.Until([&] { return agent.streams() > before; }));
    Welcome();
  }

  ScriptedNode node;
  ScriptedEntry entry{node};
  LinkedAgent agent{entry.address(), node.identity_dir()};
};

TEST_CASE("link healing: an increment after a gap is not acted on, and a complete set heals it") {
  Script script;
  script.Increment(0, {RunAssignment("a")});
  REQUIRE(script.Answered(1, false));
  script.Increment(2, {RunAssignment("b"), With(RunAssignment("a"), v1::DESIRED_STATE_STOP, 2)});
  REQUIRE(script.Answered(1, true));
  CHECK(script.agent.world.Runs("a"));
  CHECK(script.agent.world.core->figures().instances == 1);
  script.Complete(4, {RunAssignment("a"), RunAssignment("b")});
  REQUIRE(script.Answered(4, false));
  CHECK(script.agent.world.Runs("b"));
  CHECK(script.agent.world.started == 2);
}

TEST_CASE("link healing: the same increment twice acts once") {
  Script script;
  script.Increment(0, {RunAssignment("a")});
  script.Increment(0, {RunAssignment("a")});
  REQUIRE(script.Answered(1, true));
  script.Complete(2, {RunAssignment("a")});
  REQUIRE(script.Answered(2, false));
  CHECK(script.agent.world.Runs("a"));
  CHECK(script.agent.world.started == 1);
  CHECK(script.agent.world.core->figures().resyncs == 1);
}

TEST_CASE("link healing: an old statement on a new stream changes nothing") {
  Script script;
  script.Increment(0, {RunAssignment("a", 5), RunAssignment("b", 5)});
  REQUIRE(script.Answered(1, false));
  script.Break();
  CHECK(script.entry.heard().front().hello().instances_size() == 2);
  script.Increment(0, {With(RunAssignment("a"), v1::DESIRED_STATE_STOP, 4),
                       With(RunAssignment("b"), v1::DESIRED_STATE_REMOVE, 3)});
  REQUIRE(script.Answered(1, false));
  CHECK(script.agent.world.Runs("a"));
  CHECK(script.agent.world.Runs("b"));
  CHECK(script.agent.world.started == 2);
  // What is newer goes on to count.
  script.Increment(1, {With(RunAssignment("a"), v1::DESIRED_STATE_STOP, 6)});
  REQUIRE(script.Answered(2, false));
  CHECK(script.agent.Until([&] { return !script.agent.world.Runs("a"); }));
}

TEST_CASE("link healing: statuses come again on each stream until they are acknowledged") {
  Script script;
  script.Increment(0, {RunAssignment("a")});
  const auto running = [&] {
    const auto statuses = script.Statuses();
    return !statuses.empty() && statuses.back().state() == v1::INSTANCE_STATE_RUNNING;
  };
  REQUIRE(script.agent.Until(running));
  const v1::InstanceStatus first = script.Statuses().back();
  script.Break();
  REQUIRE(script.agent.Until(running));
  const v1::InstanceStatus again = script.Statuses().back();
  CHECK(again.attempt() == first.attempt());
  CHECK(again.sequence() == first.sequence());

  v1::ConnectResponse ack;
  auto* entry = ack.mutable_status_ack()->add_instances();
  entry->set_uid("a");
  entry->set_attempt(again.attempt());
  entry->set_sequence(again.sequence());
  script.Say(std::move(ack));
  // The agent has the acknowledgement once it answers what came after it.
  script.Increment(0, {});
  REQUIRE(script.Answered(1, false));
  script.Break();
  script.Increment(0, {RunAssignment("b")});
  REQUIRE(script.agent.Until(running));
  for (const v1::InstanceStatus& status : script.Statuses()) CHECK(status.uid() == "b");
}

// The API of a real entry, as these tests need it.
struct Apps {
  explicit Apps(EntryFixture& entry) : channel(entry.Local()), stub(channel) {}

  // `env_bytes` make each statement about an instance so large.
  void Create(const std::string& id, int replicas, size_t env_bytes) {
    grpc::ClientContext context;
    v1::CreateAppRequest request;
    request.set_parent("projects/default");
    request.set_app_id(id);
    v1::AppSpec& spec = *request.mutable_app()->mutable_spec();
    spec.set_replicas(replicas);
    spec.mutable_placement()->add_environments("eu");
    spec.mutable_runtime()->mutable_process()->add_command("/bin/serve");
    if (env_bytes > 0) (*spec.mutable_env())["LARGE"] = std::string(env_bytes, 'x');
    v1::Operation operation;
    const grpc::Status status = stub.CreateApp(&context, request, &operation);
    INFO(status.error_message());
    REQUIRE(status.ok());
  }
  void Stop(const std::string& id) {
    grpc::ClientContext context;
    v1::StopAppRequest request;
    request.set_name("projects/default/apps/" + id);
    v1::Operation operation;
    REQUIRE(stub.StopApp(&context, request, &operation).ok());
  }
  void Start(const std::string& id) {
    grpc::ClientContext context;
    v1::StartAppRequest request;
    request.set_name("projects/default/apps/" + id);
    v1::Operation operation;
    REQUIRE(stub.StartApp(&context, request, &operation).ok());
  }
  std::vector<v1::Instance> Instances(const std::string& id) {
    grpc::ClientContext context;
    v1::ListInstancesRequest request;
    request.set_parent("projects/default/apps/" + id);
    v1::ListInstancesResponse response;
    REQUIRE(stub.ListInstances(&context, request, &response).ok());
    return {response.instances().begin(), response.instances().end()};
  }
  bool AllAre(const std::string& id, v1::InstanceState state) {
    const auto instances = Instances(id);
    for (const v1::Instance& it : instances) {
      if (it.state() != state) return false;
    }
    return !instances.empty();
  }

  std::shared_ptr<grpc::Channel> channel;
  v1::AppService::Stub stub;
};

bool IsAssignments(const v1::ConnectResponse& message) {
  return message.has_assignments() && message.assignments().assignments_size() > 0;
}

TEST_CASE("link healing: the entry heals a gap by a complete set") {
  EntryFixture entry;
  LinkedAgent agent("", entry.EnrollNode("n1", "m1"));
  Apps apps(entry);
  REQUIRE(agent.Until([&] { return agent.world.core->figures().connected; }));
  int lost = 0;
  agent.loses = [&](const v1::ConnectResponse& message) {
    return IsAssignments(message) && lost++ == 0;
  };
  apps.Create("lost", 1, 0);
  REQUIRE(agent.Until([&] { return lost == 1; }));
  CHECK(agent.world.started == 0);
  apps.Create("next", 1, 0);
  REQUIRE(agent.Until([&] { return agent.world.started == 2; }));
  CHECK(agent.world.core->figures().resyncs == 1);
  REQUIRE(agent.Until([&] {
    return apps.AllAre("lost", v1::INSTANCE_STATE_RUNNING) &&
           apps.AllAre("next", v1::INSTANCE_STATE_RUNNING);
  }));
  CHECK(agent.world.started == 2);
  CHECK(agent.streams() == 1);
}

TEST_CASE("link healing: a status whose acknowledgement was lost takes effect once") {
  EntryFixture entry;
  LinkedAgent agent("", entry.EnrollNode("n1", "m1"));
  Apps apps(entry);
  REQUIRE(agent.Until([&] { return agent.world.core->figures().connected; }));
  int64_t lost = 0;  // The newest sequence whose acknowledgement was lost.
  agent.loses = [&](const v1::ConnectResponse& message) {
    for (const auto& it : message.status_ack().instances()) lost = it.sequence();
    return message.has_status_ack();
  };
  apps.Create("web", 1, 0);
  REQUIRE(agent.Until([&] {
    return apps.AllAre("web", v1::INSTANCE_STATE_RUNNING) &&
           lost == apps.Instances("web").front().sequence();
  }));
  const v1::Instance before = apps.Instances("web").front();
  const v1::InstanceStatus said = agent.world.StatusOf(before.uid());
  const size_t first = agent.world.statuses.size();

  agent.loses = nullptr;
  REQUIRE(agent.Reconnect());
  REQUIRE(agent.Until(
      [&] { return agent.CountHeard([](const auto& it) { return it.has_status_ack(); }) > 0; }));
  REQUIRE(agent.world.statuses.size() > first);
  CHECK(agent.world.statuses[first].sequence() == said.sequence());
  CHECK(agent.world.statuses[first].attempt() == said.attempt());
  CHECK(apps.Instances("web").front().SerializeAsString() == before.SerializeAsString());
  CHECK(agent.world.started == 1);
}

TEST_CASE("link healing: an agent that does not read costs the entry nothing but the newest") {
  constexpr int kTurns = 120;  // About 40 MB: more than link and transport take in.
  constexpr size_t kEnvBytes = 120'000;
  EntryFixture entry;
  LinkedAgent slow("", entry.EnrollNode("n1", "m1"));
  Apps apps(entry);
  REQUIRE(slow.Until([&] { return slow.world.core->figures().connected; }));
  apps.Create("slow", 3, kEnvBytes);
  REQUIRE(slow.Until([&] { return apps.AllAre("slow", v1::INSTANCE_STATE_RUNNING); }));
  LinkedAgent quick("", entry.EnrollNode("n2", "m1"));
  REQUIRE(quick.Until([&] { return quick.world.core->figures().connected; }));
  apps.Create("quick", 1, 0);
  REQUIRE(quick.Until([&] { return quick.world.started == 1; }));

  // From here on nobody reads at the slow one, while its app changes all the time. That the other
  // agent hears of each of its own changes shows that the entry has come to each.
  for (int turn = 0; turn < kTurns; ++turn) {
    const int64_t heard = quick.CountHeard(IsAssignments);
    const bool stop = turn % 2 == 0;
    stop ? apps.Stop("slow") : apps.Start("slow");
    stop ? apps.Stop("quick") : apps.Start("quick");
    REQUIRE(quick.Until([&] { return quick.CountHeard(IsAssignments) > heard; }));
  }
  apps.Stop("slow");
  apps.Stop("quick");
  REQUIRE(quick.Until([&] { return quick.world.processes.empty(); }));
  CHECK(slow.unread() == 16);
  CHECK_FALSE(slow.world.processes.empty());

  SECTION("it reads on: it is told the newest, not all that was between") {
    REQUIRE(slow.Until([&] { return slow.world.processes.empty(); }));
    REQUIRE(slow.Until([&] { return apps.AllAre("slow", v1::INSTANCE_STATE_EXITED); }));
  }
  SECTION("its stream is lost: the next one makes it what it should be") {
    REQUIRE(slow.Reconnect());
    REQUIRE(slow.Until([&] { return apps.AllAre("slow", v1::INSTANCE_STATE_EXITED); }));
    CHECK(slow.world.processes.empty());
    CHECK(slow.CountHeard(IsAssignments) <= 2);
  }
  INFO("messages with assignments: " << slow.CountHeard(IsAssignments));
  CHECK(slow.CountHeard(IsAssignments) < kTurns * 2 / 3);
  CHECK(slow.world.core->figures().resyncs == 0);
}

}  // namespace
}  // namespace appsup::testing
