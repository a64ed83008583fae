#include "tests/support/entry_stage.h"

#include <utility>

#include "common/digest.h"
#include "common/id.h"
#include "entry/core/instance_facts.h"
#include "entry/core/operation.h"
#include "entry/core/proto_time.h"
#include "entry/core/reconcile.h"

namespace appsup::entry {

api::ConnectRequest FakeAgent::Hello(const api::Hello& said) const {
  api::ConnectRequest request;
  api::Hello& hello = *request.mutable_hello();
  hello = said;
  if (hello.machine_id().empty()) hello.set_machine_id("machine-" + node_);
  if (hello.last_session_secret().empty()) hello.set_last_session_secret(secret);
  if (!hello.has_position() && !position.catalog_uid().empty())
    *hello.mutable_position() = position;
  if (!guard.empty()) hello.set_guarded(true);
  for (const auto& [uid, instance] : held) {
    api::HeldInstance& row = *hello.add_instances();
    row.set_uid(uid);
    row.set_generation(instance.assignment.generation());
    row.set_digest(instance.assignment.digest());
    row.set_attempt(instance.status.attempt());
    row.set_sequence(instance.status.sequence());
  }
  return request;
}

std::vector<api::ConnectRequest> FakeAgent::Take(const api::ConnectResponse& message) {
  received.push_back(message);
  std::vector<api::ConnectRequest> answers;
  if (message.has_welcome()) TakeWelcome(message.welcome());
  if (message.has_goodbye()) closed = true;
  if (message.has_status_ack()) {
    for (const auto& entry : message.status_ack().instances()) {
      auto instance = held.find(entry.uid());
      if (instance == held.end() || instance->second.status.sequence() > entry.sequence()) continue;
      if (instance->second.status.state() == api::INSTANCE_STATE_REMOVED) held.erase(instance);
    }
  }
  if (!message.has_assignments()) return answers;
  const api::Assignments& assignments = message.assignments();
  api::AssignmentsApplied& applied = *answers.emplace_back().mutable_assignments_applied();
  if (assignments.type() == api::ASSIGNMENTS_TYPE_INCREMENTAL && assignments.base() != version) {
    applied.set_resync(true);
    return answers;
  }
  version = assignments.version();
  applied.set_version(version);
  for (const api::Assignment& assignment : assignments.assignments()) Apply(assignment, applied);
  if (assignments.has_position()) position = assignments.position();
  return answers;
}

void FakeAgent::TakeWelcome(const api::Welcome& welcome) {
  secret = welcome.session_secret();
  if (!welcome.guard().empty()) guard = welcome.guard();
  if (!welcome.catalog_accepted()) return;
  guard.clear();
  position = welcome.position();
}

// What an agent under guard does not do; "" if it does it.
std::string FakeAgent::RefusedByGuard(const api::Assignment& assignment) const {
  if (guard.empty()) return "";
  if (assignment.desired() != api::DESIRED_STATE_RUN) return "not to run";
  auto known = held.find(assignment.uid());
  const bool stranger = known == held.end() || known->second.assignment.generation() == 0;
  return stranger || known->second.assignment.digest() == assignment.digest() ? "" : "changed";
}

void FakeAgent::Apply(const api::Assignment& assignment, api::AssignmentsApplied& applied) {
  if (const std::string why = RefusedByGuard(assignment); !why.empty()) {
    guard_refused.push_back(assignment.uid() + ": " + why);
    return;
  }
  auto known = held.find(assignment.uid());
  if (known == held.end() && behaviours[assignment.revision()] == Behaviour::kIsRefused &&
      assignment.desired() == api::DESIRED_STATE_RUN) {
    api::AssignmentRefused& refused = *applied.add_refused();
    refused.set_uid(assignment.uid());
    refused.set_generation(assignment.generation());
    refused.set_message("there is no user x");
    return;
  }
  Held& instance = held[assignment.uid()];
  if (assignment.generation() <= instance.assignment.generation()) return;
  const bool restart = instance.assignment.generation() > 0 &&
                       instance.assignment.restart_nonce() != assignment.restart_nonce();
  instance.assignment = assignment;
  if (instance.status.sequence() < assignment.known_sequence()) {
    instance.status.set_sequence(assignment.known_sequence());
  }
  if (restart && instance.status.state() == api::INSTANCE_STATE_RUNNING) {
    instance.status.set_state(api::INSTANCE_STATE_STARTING);
  }
  news_[assignment.uid()];
}

void FakeAgent::Nudge() {
  for (const auto& [uid, instance] : held) news_[uid];
}

void FakeAgent::Live(Held& held) {
  const api::Assignment& wanted = held.assignment;
  api::InstanceStatus& status = held.status;
  status.set_uid(wanted.uid());
  status.set_generation(wanted.generation());
  status.set_app_generation(wanted.app_generation());
  status.set_restart_nonce(wanted.restart_nonce());
  status.set_fenced(wanted.fenced());
  status.set_sequence(status.sequence() + 1);
  const bool slow =
      slow_to_stop.count(wanted.name().substr(0, wanted.name().find("/instances"))) > 0;
  if (wanted.desired() != api::DESIRED_STATE_RUN) {
    status.set_ready(false);
    if (slow && status.state() == api::INSTANCE_STATE_RUNNING) {
      status.set_state(api::INSTANCE_STATE_STOPPING);
    } else if (!slow || status.state() != api::INSTANCE_STATE_STOPPING) {
      status.set_state(wanted.desired() == api::DESIRED_STATE_STOP ? api::INSTANCE_STATE_EXITED
                                                                   : api::INSTANCE_STATE_REMOVED);
    }
    return;
  }
  const bool starts = status.state() != api::INSTANCE_STATE_RUNNING;
  if (wanted.setup()) {
    if (status.attempt() == 0) {
      status.set_attempt(1);
      started.push_back("setup r" + std::to_string(wanted.revision()));
    }
    auto exit = setup_exits.find(wanted.revision());
    status.set_state(exit == setup_exits.end() ? api::INSTANCE_STATE_RUNNING
                     : IsBadExit(exit->second) ? api::INSTANCE_STATE_FAILED
                                               : api::INSTANCE_STATE_EXITED);
    if (exit != setup_exits.end()) *status.mutable_exit() = exit->second;
    return;
  }
  if (starts) {
    status.set_attempt(status.attempt() + 1);
    started.push_back(wanted.name() + " r" + std::to_string(wanted.revision()));
  }
  status.clear_exit();
  status.clear_next_attempt_time();
  status.clear_conditions();
  status.set_ready(false);
  status.set_state(api::INSTANCE_STATE_RUNNING);
  switch (behaviours[wanted.revision()]) {
    case Behaviour::kReady: {
      status.set_ready(true);
      status.clear_endpoints();
      for (const api::Port& port : wanted.spec().ports()) {
        api::Endpoint& endpoint = *status.add_endpoints();
        endpoint.set_port(port.name());
        endpoint.set_address("10.0.0.1:" + std::to_string(port.number() ? port.number() : 40000));
      }
      break;
    }
    case Behaviour::kNeverReady:
    case Behaviour::kIsRefused:
      break;
    case Behaviour::kCrashes:
      status.set_state(api::INSTANCE_STATE_STARTING);
      status.set_restarts(status.restarts() + 4);
      status.mutable_exit()->set_code(1);
      status.mutable_next_attempt_time()->set_seconds(1'700'000'060);
      status.set_message("exited with code 1");
      status.add_log_tail("no such table");
      break;
    case Behaviour::kLacksCode: {
      status.set_state(api::INSTANCE_STATE_PREPARING);
      status.mutable_next_attempt_time()->set_seconds(1'700'000'300);
      status.set_message("fetch a.tgz: HTTP status 404; next try at 12:00:00 UTC");
      api::Condition& condition = *status.add_conditions();
      condition.set_type("ArtifactReady");
      condition.set_status(api::CONDITION_STATUS_FALSE);
      condition.set_reason("ArtifactUnusable");
      condition.set_message("fetch a.tgz: HTTP status 404");
      break;
    }
    case Behaviour::kFails:
      status.set_state(api::INSTANCE_STATE_FAILED);
      status.set_message("command not found: nginx");
      break;
    case Behaviour::kCompletes:
      status.set_state(api::INSTANCE_STATE_EXITED);
      status.mutable_exit()->set_code(0);
      break;
  }
}

std::optional<api::ConnectRequest> FakeAgent::Report() {
  if (news_.empty()) return std::nullopt;
  api::ConnectRequest request;
  for (const auto& [uid, unused] : std::exchange(news_, {})) {
    auto instance = held.find(uid);
    if (instance == held.end()) continue;
    Live(instance->second);
    *request.mutable_status()->add_instances() = instance->second.status;
  }
  return request;
}

EntryStage::EntryStage() {
  rec::CatalogRecord meta;
  meta.set_catalog_uid("catalog");
  meta.add_timelines()->set_id("t1");
  catalog.meta.Insert(Catalog::kMetaKey, meta);
  sessions = std::make_unique<Sessions>(options, catalog, dirty, random, 1, "t1", now);
}

void EntryStage::AddEnvironment(const std::string& id, const std::vector<std::string>& projects) {
  rec::EnvironmentRecord record;
  record.mutable_environment()->set_name("environments/" + id);
  for (const std::string& project : projects) {
    record.mutable_environment()->add_allowed_projects(project);
  }
  catalog.environments.Insert("environments/" + id, record);
}

FakeAgent& EntryStage::AddNode(const std::string& id, const std::string& environment,
                               int64_t memory) {
  rec::NodeRecord record;
  record.mutable_node()->set_name("nodes/" + id);
  record.mutable_node()->set_uid("uid-" + id);
  record.mutable_node()->set_environment(environment);
  catalog.nodes.Insert("nodes/" + id, record);
  api::Hello hello;
  hello.mutable_capacity()->set_memory_bytes(memory);
  hello.mutable_capacity()->set_cpu_millis(8000);
  api::DriverInfo& driver = *hello.add_drivers();
  driver.set_name("process");
  driver.add_enforces("deadline");
  return Connect(id, hello);
}

FakeAgent& EntryStage::Connect(const std::string& id, const api::Hello& said) {
  AgentConnected event;
  event.session = ++last_session_;
  event.node = id;
  event.node_uid = "uid-" + id;
  event.peer = "10.0.0.1:" + std::to_string(event.session);
  event.secret = "secret-" + std::to_string(event.session);
  auto next = std::make_unique<FakeAgent>(id, event.session);
  api::Hello hello = said;
  if (agents_.count(id) > 0) {
    FakeAgent& before = *agents_[id];
    next->held = before.held;
    next->behaviours = before.behaviours;
    next->setup_exits = before.setup_exits;
    next->secret = before.secret;
    next->guard = before.guard;
    next->guard_refused = before.guard_refused;
    next->position = before.position;
    next->started = before.started;
    const api::NodeStatus& status = catalog.nodes.Find("nodes/" + id)->node().status();
    if (!hello.has_capacity()) *hello.mutable_capacity() = status.capacity();
    if (hello.drivers().empty()) *hello.mutable_drivers() = status.drivers();
  }
  agents_[id] = std::move(next);
  if (!hello.has_position() && agents_[id]->position.catalog_uid().empty()) {
    hello.mutable_position()->set_catalog_uid("catalog");
    hello.mutable_position()->set_timeline("t1");
  }
  sessions->Connected(event, now);
  sessions->Received(
      {event.session, std::make_shared<api::ConnectRequest>(agents_[id]->Hello(hello))}, now);
  return *agents_[id];
}

void EntryStage::Disconnect(const std::string& id) {
  sessions->Disconnected(agents_.at(id)->session_, now);
}

void EntryStage::Drain(const std::string& id, bool drained) {
  const std::string name = "nodes/" + id;
  catalog.nodes.Mutate(name).mutable_node()->set_desired(drained ? api::NODE_DESIRED_DRAINED
                                                                 : api::NODE_DESIRED_ACTIVE);
  if (drained) OpenOperation(name, "DRAIN");
  dirty.Node(name);
}

void EntryStage::OpenOperation(const std::string& target, const std::string& kind) {
  operations_[target] = StartOperation(catalog, random, {target, kind, "test", 0, 0}, now);
}

void EntryStage::AddRevision(const std::string& id, const api::AppSpec& spec) {
  rec::AppRecord& record = catalog.apps.Mutate(AppName(id));
  const int64_t number = record.last_revision() + 1;
  record.set_last_revision(number);
  record.set_target_revision(number);
  rec::RevisionRecord revision;
  revision.mutable_revision()->set_name(AppName(id) + "/revisions/" + std::to_string(number));
  revision.mutable_revision()->set_number(number);
  *revision.mutable_revision()->mutable_spec() = spec;
  if (spec.has_setup()) revision.mutable_revision()->set_setup_key(spec.setup().version());
  const std::string name = revision.revision().name();
  catalog.revisions.Insert(name, std::move(revision));
}

void EntryStage::AddApp(const std::string& id, const api::AppSpec& spec) {
  rec::AppRecord record;
  record.mutable_app()->set_name(AppName(id));
  record.mutable_app()->set_uid("uid-" + id);
  record.mutable_app()->set_generation(1);
  *record.mutable_app()->mutable_spec() = spec;
  catalog.apps.Insert(AppName(id), std::move(record));
  AddRevision(id, spec);
  OpenOperation(AppName(id), "CREATE");
  dirty.App(AppName(id));
}

void EntryStage::Update(const std::string& id, bool revision,
                        const std::function<void(api::AppSpec&)>& edit, const std::string& kind) {
  api::App& app = *catalog.apps.Mutate(AppName(id)).mutable_app();
  edit(*app.mutable_spec());
  app.set_generation(app.generation() + 1);
  if (revision) AddRevision(id, app.spec());
  OpenOperation(AppName(id), kind);
  dirty.App(AppName(id));
}

void EntryStage::Delete(const std::string& id, bool purge) {
  rec::AppRecord& record = catalog.apps.Mutate(AppName(id));
  *record.mutable_app()->mutable_delete_time() = ToTimestamp(now.wall);
  record.mutable_app()->set_generation(record.app().generation() + 1);
  record.set_purge(purge);
  OpenOperation(AppName(id), "DELETE");
  dirty.App(AppName(id));
}

void EntryStage::Reconcile() {
  for (int round = 0; round < 20 && !dirty.empty(); ++round) {
    for (const std::string& name : dirty.TakeNodes()) {
      if (catalog.nodes.Find(name) == nullptr) continue;
      wake_[name] = ReconcileNode(options, catalog, *sessions, dirty, patience, name, now);
    }
    for (const std::string& name : dirty.TakeApps()) {
      if (catalog.apps.Find(name) == nullptr) continue;
      ++apps_reconciled;
      wake_[name] = ReconcileApp(options, catalog, *sessions, dirty, patience, random, name, now);
    }
    for (const auto& [node, instance] : dirty.TakeAssignments()) {
      sessions->AssignmentChanged(node, instance);
    }
  }
  APPSUP_CHECK(dirty.empty(), "reconciling does not come to rest");
  if (catalog.changed()) catalog.TakeTransaction(now.wall);
}

bool EntryStage::Exchange() {
  bool happened = false;
  for (Effect& effect : sessions->Collect(now)) {
    const auto* send = std::get_if<SendToAgent>(&effect);
    if (send == nullptr) continue;
    happened = true;
    sessions->Writable(send->session, now);
    for (auto& [id, agent] : agents_) {
      if (agent->session_ != send->session) continue;
      for (api::ConnectRequest& answer : agent->Take(*send->message)) {
        sessions->Received({send->session, std::make_shared<api::ConnectRequest>(answer)}, now);
      }
    }
  }
  for (auto& [id, agent] : agents_) {
    std::optional<api::ConnectRequest> report = agent->Report();
    if (!report.has_value()) continue;
    happened = true;
    sessions->Received({agent->session_, std::make_shared<api::ConnectRequest>(*report)}, now);
  }
  return happened;
}

void EntryStage::Run() {
  for (int round = 0; round < 10'000; ++round) {
    Reconcile();
    const bool happened = Exchange();
    if (on_round) on_round();
    if (!happened && dirty.empty()) return;
  }
  APPSUP_CHECK(false, "the stage does not come to rest");
}

void EntryStage::Advance(absl::Duration duration) {
  const Moment end{now.wall + duration, now.boot + duration};
  while (true) {
    absl::Duration next = sessions->next_deadline();
    for (const auto& [name, at] : wake_) next = std::min(next, at);
    if (next > end.boot) break;
    const absl::Duration step = std::max(next - now.boot, absl::ZeroDuration());
    now = {now.wall + step, now.boot + step};
    sessions->Expire(now);
    for (auto& [name, at] : wake_) {
      if (at > now.boot) continue;
      at = absl::InfiniteDuration();
      name.starts_with("nodes/") ? dirty.Node(name) : dirty.App(name);
    }
    Run();
  }
  now = end;
  Run();
}

void EntryStage::Beat() {
  ++beats_;
  for (auto& [id, agent] : agents_) {
    if (agent->closed) continue;
    api::ConnectRequest request;
    request.mutable_heartbeat()->set_number(beats_);
    sessions->Received({agent->session_, std::make_shared<api::ConnectRequest>(request)}, now);
  }
  Run();
}

const rec::AppRecord& EntryStage::app(const std::string& id) const {
  return *catalog.apps.Find(AppName(id));
}

const api::AppStatus& EntryStage::status(const std::string& id) const {
  const api::AppStatus* status = catalog.app_statuses.Find(AppName(id));
  return status == nullptr ? api::AppStatus::default_instance() : *status;
}

const api::Condition* EntryStage::condition(const std::string& id, const std::string& type) const {
  for (const api::Condition& condition : status(id).conditions()) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

const api::Operation& EntryStage::operation(const std::string& target) const {
  return catalog.operations.Find(operations_.at(target))->operation();
}

std::vector<rec::InstanceRecord> EntryStage::instances(const std::string& id) const {
  std::vector<rec::InstanceRecord> records;
  for (const std::string& name : catalog.InstancesOfApp(AppName(id))) {
    const rec::InstanceRecord& record = *catalog.instances.Find(name);
    if (!IsGone(record)) records.push_back(record);
  }
  return records;
}

int EntryStage::Count(const std::string& id, api::InstanceState state, int64_t revision) const {
  int count = 0;
  for (const rec::InstanceRecord& record : instances(id)) {
    if (record.instance().state() != state) continue;
    if (revision == 0 || record.instance().revision() == revision) ++count;
  }
  return count;
}

}  // namespace appsup::entry
