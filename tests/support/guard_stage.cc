#include "tests/support/guard_stage.h"

#include <stdexcept>

#include "appsupervisor/v1/environment_service.pb.h"

namespace appsup::entry {
namespace {

bool Runs(const FakeAgent::Held& held) {
  return held.status.state() == api::INSTANCE_STATE_RUNNING;
}

void Require(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

}  // namespace

api::Operation GuardStage::Ran(const absl::StatusOr<api::Operation>& operation) {
  Require(operation.status());
  if (agent) agent->Run();
  return *operation;
}

void GuardStage::RestoreOlderCopy() {
  Create("web");
  const CoreHarness::Backup backup = entry.TakeBackup();
  Create("later");
  entry.Restore(backup);
  Connect();
  if (State() != api::NODE_STATE_GUARDED) throw std::runtime_error("the node is not guarded");
}

SessionId GuardStage::ConnectWithoutDriver() {
  AgentConnected event;
  event.session = 1'000;
  event.node = "n1";
  event.node_uid = entry.catalog().nodes.Find("nodes/n1")->node().uid();
  event.secret = "secret";
  entry.Handle(event);
  api::ConnectRequest request;
  request.mutable_hello()->set_machine_id("machine-n1");
  entry.FromAgent(event.session, request);
  return event.session;
}

api::Operation GuardStage::Create(const std::string& id, int replicas) {
  api::CreateAppRequest request = NewApp(id);
  request.mutable_app()->mutable_spec()->set_replicas(replicas);
  return Ran(entry.Call<api::Operation>("AppService/CreateApp", request));
}

api::Operation GuardStage::Edit(const std::string& id, bool recreate) {
  api::UpdateAppRequest request;
  request.mutable_app()->set_name("projects/default/apps/" + id);
  api::AppSpec& spec = *request.mutable_app()->mutable_spec();
  spec.mutable_runtime()->mutable_process()->add_command("/bin/true");
  request.mutable_update_mask()->add_paths("spec.runtime");
  if (recreate) {
    spec.mutable_update()->set_strategy(api::UPDATE_STRATEGY_RECREATE);
    request.mutable_update_mask()->add_paths("spec.update");
  }
  return Ran(entry.Call<api::Operation>("AppService/UpdateApp", request));
}

void GuardStage::Grow(int64_t index) {
  static int count = 0;
  do {
    entry.AddEnvironment("more-" + std::to_string(++count));
  } while (entry.catalog().last_index() <= index);
  if (agent) agent->Run();
}

void GuardStage::Wait(absl::Duration duration) {
  for (absl::Duration waited; waited < duration; waited += absl::Seconds(5)) {
    entry.Advance(absl::Seconds(5));
    agent->Beat();
  }
}

void GuardStage::AcceptAndConnect() {
  Require(Accept("nodes/n1").status());
  agent->Run();
  Connect();
}

void GuardStage::LoseJournal() {
  for (auto& [uid, held] : agent->fake.held) {
    held.assignment.Clear();
    held.status.set_sequence(0);
  }
  agent->fake.secret.clear();
  agent->fake.position.Clear();
  agent->fake.guard = "Its journal was lost.";
}

void GuardStage::AddStranger(const std::string& uid) {
  FakeAgent::Held& held = agent->fake.held[uid];
  held.status.set_uid(uid);
  held.status.set_attempt(1);
  held.status.set_state(api::INSTANCE_STATE_RUNNING);
}

GuardStage::Picture GuardStage::Running() const {
  Picture picture;
  for (const auto& [uid, held] : agent->fake.held) {
    if (!Runs(held)) continue;
    picture[uid] = {held.status.attempt(), held.assignment.generation()};
  }
  return picture;
}

std::vector<std::string> GuardStage::RunningApps() const {
  std::set<std::string> apps;
  for (const auto& [uid, held] : agent->fake.held) {
    if (Runs(held)) apps.insert(IdOf(AppOf(held.assignment.name())));
  }
  return {apps.begin(), apps.end()};
}

bool GuardStage::KeepsRunning(const Picture& picture) const {
  const Picture now = Running();
  return std::all_of(picture.begin(), picture.end(), [&](const auto& instance) {
    auto found = now.find(instance.first);
    return found != now.end() && found->second.first == instance.second.first;
  });
}

std::vector<api::Assignment> GuardStage::ToldSinceHello() const {
  std::vector<api::Assignment> told;
  for (const api::ConnectResponse& message : agent->fake.received) {
    for (const api::Assignment& assignment : message.assignments().assignments()) {
      told.push_back(assignment);
    }
  }
  return told;
}

bool GuardStage::OnlyAddedSinceHello() const {
  const std::vector<api::Assignment> told = ToldSinceHello();
  return std::all_of(told.begin(), told.end(), [&](const api::Assignment& assignment) {
    return assignment.desired() == api::DESIRED_STATE_RUN &&
           !held_at_hello.contains(assignment.uid());
  });
}

api::Condition GuardStage::NodeCondition(const std::string& type) const {
  const rec::NodeRecord& record = *entry.catalog().nodes.Find("nodes/n1");
  for (const api::Condition& condition : record.node().status().conditions()) {
    if (condition.type() == type) return condition;
  }
  return {};
}

api::Condition GuardStage::Condition(const std::string& app, const std::string& type) const {
  const absl::StatusOr<api::App> found = GetApp(entry, app);
  Require(found.status());
  for (const api::Condition& condition : found->status().conditions()) {
    if (condition.type() == type) return condition;
  }
  return {};
}

rec::InstanceRecord GuardStage::Instance(const std::string& app) const {
  const rec::InstanceRecord* found = nullptr;
  for (const std::string& name : entry.catalog().InstancesOfApp("projects/default/apps/" + app)) {
    const rec::InstanceRecord* record = entry.catalog().instances.Find(name);
    if (found == nullptr || record->instance().desired() == api::DESIRED_STATE_RUN) found = record;
  }
  if (found == nullptr) throw std::runtime_error(app + " has no instance");
  return *found;
}

}  // namespace appsup::entry
