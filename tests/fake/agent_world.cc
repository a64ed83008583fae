#include "tests/fake/agent_world.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace appsup::agent {

namespace api = appsupervisor::v1;

AgentWorld::AgentWorld() {
  now = {absl::FromUnixSeconds(1'800'000'000), absl::Seconds(1000)};
  options.machine_id = "m1";
  options.boot_id = "boot1";
  options.address = "10.0.0.5";
  options.listen_address = "0.0.0.0";
  options.check_address = "127.0.0.1";
  options.instances_dir = "/state/instances";
  options.data_dir = "/state/data";
  options.log_dir = "/state/logs";
  options.seed = 7;
  welcome.set_node("n1");
  welcome.mutable_lease()->set_seconds(10);
  welcome.mutable_heartbeat_period()->set_seconds(3);
}

AgentWorld::~AgentWorld() = default;

void AgentWorld::Boot() {
  core = std::make_unique<AgentCore>(options, durable, now);
  Drain();
}

void AgentWorld::KillAgent() {
  core.reset();
  pending_.clear();
  uncommitted_.clear();
  unsent_fences_.clear();
  timer_.reset();
  driver_connected = false;
  connection = 0;
}

void AgentWorld::Reboot() {
  KillAgent();
  processes.clear();
  exits.clear();
  options.boot_id += "x";
  now.boot = absl::Seconds(20);
}

void AgentWorld::LoseJournal() { durable = {}; }

void AgentWorld::TearJournal() { durable = before_last_; }

void AgentWorld::KillKeeper() {
  DisconnectDriver();
  std::vector<ProcessId> fenced;
  for (const auto& [id, process] : processes) {
    if (process.fence) fenced.push_back(id);
  }
  for (const ProcessId& id : fenced) {
    End(id, 0, 9, true);
  }
}

void AgentWorld::ConnectDriver() {
  driver_connected = true;
  DriverUp up;
  up.description = {"process", enforces, "pids: no cgroup", "0.1"};
  for (const auto& [id, process] : processes) {
    up.inventory.running.push_back({id,
                                    process.request.app_uid,
                                    {static_cast<pid_t>(process.pid), process.start_time},
                                    process.fence.has_value()});
  }
  for (const auto& [id, exit] : exits) up.inventory.exits.push_back({id, exit});
  SetFences kept;
  for (const auto& [id, fence] : std::exchange(unsent_fences_, {})) {
    kept.changes.push_back({id, fence});
  }
  pending_.push_back(std::move(up));
  if (!kept.changes.empty()) Perform(kept);
  Drain();
}

void AgentWorld::DisconnectDriver() {
  driver_connected = false;
  Handle(DriverDown{absl::UnavailableError("connection refused")});
}

void AgentWorld::Handle(Event event) {
  core->Handle(std::move(event), now);
  Drain();
}

void AgentWorld::Drain() {
  for (int round = 0; round < 10'000; ++round) {
    std::vector<Effect> fresh = core->Flush();
    for (Effect& effect : fresh) {
      effects.push_back(effect);
      Perform(effect);
      if (core == nullptr) return;
    }
    if (fresh.empty() && pending_.empty()) return;
    std::vector<Event> events = std::exchange(pending_, {});
    for (Event& event : events) core->Handle(std::move(event), now);
  }
  APPSUP_CHECK(false, "the agent's core never comes to rest");
}

void AgentWorld::Advance(absl::Duration by) {
  const absl::Duration until = now.boot + by;
  for (;;) {
    const absl::Duration timer = timer_.value_or(absl::InfiniteDuration());
    const absl::Duration next = std::min(timer, NextFence());
    if (next > until) break;
    const absl::Duration step = std::max(absl::ZeroDuration(), next - now.boot);
    now.boot += step;
    now.wall += step;
    ActOnFences();
    if (timer > next) continue;
    timer_.reset();
    Handle(TimerDue{});
  }
  now.wall += until - now.boot;
  now.boot = until;
}

void AgentWorld::Perform(Effect& effect) {
  if (const auto* it = std::get_if<WriteJournal>(&effect)) return Perform(*it);
  if (const auto* it = std::get_if<SendMessage>(&effect)) return Perform(*it);
  if (const auto* it = std::get_if<StartProcess>(&effect)) return Perform(*it);
  if (const auto* it = std::get_if<SetFences>(&effect)) return Perform(*it);
  if (const auto* it = std::get_if<StopProcess>(&effect)) {
    const auto process = processes.find(it->id);
    if (process == processes.end()) return;
    process->second.told_to_stop = true;
    if (stops) End(it->id, 0, it->signal);
  } else if (const auto* it = std::get_if<KillProcess>(&effect)) {
    if (processes.contains(it->id)) End(it->id, 0, 9);
  } else if (const auto* it = std::get_if<AckExit>(&effect)) {
    exits.erase(it->id);
  } else if (const auto* it = std::get_if<RemoveFolders>(&effect)) {
    if (removes) pending_.push_back(FoldersRemoved{it->token, absl::OkStatus()});
  } else if (const auto* it = std::get_if<PrepareArtifact>(&effect)) {
    if (fetches) pending_.push_back(ArtifactPrepared{it->token, {}, "/cache/abc", "abc"});
  } else if (const auto* it = std::get_if<CheckPorts>(&effect)) {
    PortsChecked checked{it->token, {}};
    for (const PortToCheck& port : it->ports) {
      if (busy.contains(port.number)) checked.busy.push_back(port.number);
    }
    pending_.push_back(std::move(checked));
  } else if (const auto* it = std::get_if<ReadLogTail>(&effect)) {
    pending_.push_back(LogTailRead{it->uid, it->attempt, log_tail});
  } else if (const auto* it = std::get_if<SetTimer>(&effect)) {
    timer_ = it->boot_deadline;
  }
}

void AgentWorld::Perform(const WriteJournal& write) {
  if (commits) {
    Commit(write);
    pending_.push_back(JournalCommitted{write.index});
  } else {
    uncommitted_.push_back(write);
  }
}

void AgentWorld::Commit(const WriteJournal& write) {
  before_last_ = durable;
  for (const JournalPut& row : write.rows) {
    auto& table = row.table == JournalTable::kNode
                      ? durable.node
                      : (row.table == JournalTable::kPort ? durable.ports : durable.instances);
    if (row.value) {
      table[row.key] = *row.value;
    } else {
      table.erase(row.key);
    }
  }
}

void AgentWorld::CommitAll() {
  if (uncommitted_.empty()) return;
  for (const WriteJournal& write : uncommitted_) Commit(write);
  const uint64_t index = uncommitted_.back().index;
  uncommitted_.clear();
  Handle(JournalCommitted{index});
}

void AgentWorld::Perform(const StartProcess& start) {
  const ProcessId& id = start.request.id;
  if (!starts) return;
  if (!start_error.empty()) {
    pending_.push_back(ProcessStarted{id, absl::NotFoundError(start_error)});
    return;
  }
  const std::optional<Fence>& fence = start.request.fence;
  const bool fresh = !processes.contains(id);
  if (fresh && fence && fence->deadline - fence->stop_before <= now.boot) {
    pending_.push_back(ProcessStarted{id, absl::FailedPreconditionError("the fence has run out")});
    return;
  }
  const auto it = processes.try_emplace(id).first;
  if (fresh) {
    ++started;
    it->second = {start.request, ++last_pid_, now.boot, false, fence};
  }
  pending_.push_back(
      ProcessStarted{id, Started{static_cast<pid_t>(it->second.pid), it->second.start_time}});
}

void AgentWorld::RunStranger(const ProcessId& id, const std::string& app_uid,
                             std::optional<Fence> fence) {
  StartRequest request;
  request.id = id;
  request.app_uid = app_uid;
  processes[id] = {std::move(request), ++last_pid_, now.boot, false, std::move(fence)};
}

void AgentWorld::Perform(const SetFences& set) {
  FencesSet answer;
  for (const FenceChange& change : set.changes) {
    if (!driver_connected) {
      unsent_fences_[change.id] = change.fence;
      continue;
    }
    const auto it = processes.find(change.id);
    if (change.fence) answer.ids.push_back(change.id);
    if (it == processes.end()) continue;
    std::optional<Fence>& fence = it->second.fence;
    if (!change.fence || !fence || fence->deadline < change.fence->deadline) fence = change.fence;
  }
  if (confirms && !answer.ids.empty()) pending_.push_back(std::move(answer));
}

absl::Duration AgentWorld::NextFence() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& [id, process] : processes) {
    if (!process.fence) continue;
    const absl::Duration stop = process.fence->deadline - process.fence->stop_before;
    next = std::min(next, process.fence_reached ? process.fence->deadline : stop);
  }
  return next;
}

void AgentWorld::ActOnFences() {
  std::vector<std::pair<ProcessId, int>> ended;
  for (auto& [id, process] : processes) {
    if (!process.fence) continue;
    process.fence_reached |= now.boot >= process.fence->deadline - process.fence->stop_before;
    if (process.fence_reached && stops) {
      ended.push_back({id, process.request.stop_signal});
    } else if (now.boot >= process.fence->deadline) {
      ended.push_back({id, 9});
    }
  }
  for (const auto& [id, signal] : ended) End(id, 0, signal, true);
  if (core != nullptr) Drain();
}

void AgentWorld::End(ProcessId id, int code, int signal, bool by_fence) {
  ProcessExit exit;
  const auto process = processes.find(id);
  exit.by_fence = by_fence || (process != processes.end() && process->second.fence_reached);
  exit.stopped = process != processes.end() && process->second.told_to_stop;
  exit.code = code;
  exit.signal = signal;
  exit.time = now.wall;
  processes.erase(id);
  exits[id] = exit;
  if (core != nullptr && driver_connected) pending_.push_back(ProcessExited{id, exit});
}

void AgentWorld::Exit(const std::string& uid, int code, int signal) {
  End(RunningOf(uid).request.id, code, signal);
  if (core != nullptr) Drain();
}

bool AgentWorld::Runs(const std::string& uid) const {
  for (const auto& [id, process] : processes) {
    if (id.instance_uid == uid) return true;
  }
  return false;
}

const AgentWorld::Process& AgentWorld::RunningOf(const std::string& uid) const {
  for (const auto& [id, process] : processes) {
    if (id.instance_uid == uid) return process;
  }
  APPSUP_CHECK(false, "no such process runs");
  std::abort();
}

void AgentWorld::LinkUpOnly() {
  connection = ++last_connection_;
  version = 0;
  Handle(LinkUp{connection});
}

void AgentWorld::Connect(const std::string& with_timeline, int64_t with_epoch) {
  LinkUpOnly();
  Welcome(with_timeline, with_epoch);
}

void AgentWorld::Welcome(const std::string& with_timeline, int64_t with_epoch) {
  timeline = with_timeline;
  epoch = with_epoch;
  api::ConnectResponse message;
  *message.mutable_welcome() = welcome;
  message.mutable_welcome()->set_session_secret(absl::StrCat("secret", connection));
  Say(std::move(message));
}

void AgentWorld::Grant() {
  api::ConnectResponse message;
  message.mutable_lease_granted()->set_number(last_heartbeat_);
  Say(std::move(message));
}

void AgentWorld::Disconnect() {
  const uint64_t gone = std::exchange(connection, 0);
  Handle(LinkDown{gone, absl::UnavailableError("cut")});
}

void AgentWorld::Say(api::ConnectResponse message, const std::string& other_timeline,
                     int64_t other_epoch) {
  message.set_timeline(other_timeline.empty() ? timeline : other_timeline);
  message.set_epoch(other_epoch == 0 ? epoch : other_epoch);
  Handle(LinkMessage{connection, std::make_shared<const api::ConnectResponse>(std::move(message))});
}

void AgentWorld::Assign(std::vector<api::Assignment> assignments) {
  api::ConnectResponse message;
  api::Assignments& set = *message.mutable_assignments();
  set.set_type(api::ASSIGNMENTS_TYPE_INCREMENTAL);
  set.set_base(version);
  set.set_version(++version);
  if (position) *set.mutable_position() = *position;
  for (api::Assignment& assignment : assignments) *set.add_assignments() = std::move(assignment);
  Say(std::move(message));
}

void AgentWorld::Perform(const SendMessage& send) {
  if (send.connection != connection) return;
  received.push_back(*send.message);
  if (writable) pending_.push_back(LinkWritable{connection});
  if (send.message->has_heartbeat()) last_heartbeat_ = send.message->heartbeat().number();
  if (send.message->has_heartbeat() && grants) {
    auto grant = std::make_shared<api::ConnectResponse>();
    grant->set_timeline(timeline);
    grant->set_epoch(epoch);
    grant->mutable_lease_granted()->set_number(send.message->heartbeat().number());
    pending_.push_back(LinkMessage{connection, std::move(grant)});
  }
  if (!send.message->has_status()) return;
  auto ack = std::make_shared<api::ConnectResponse>();
  ack->set_timeline(timeline);
  ack->set_epoch(epoch);
  for (const api::InstanceStatus& status : send.message->status().instances()) {
    statuses.push_back(status);
    auto* entry = ack->mutable_status_ack()->add_instances();
    entry->set_uid(status.uid());
    entry->set_attempt(status.attempt());
    entry->set_sequence(status.sequence());
  }
  if (acks) pending_.push_back(LinkMessage{connection, std::move(ack)});
}

api::Hello AgentWorld::LastHello() const {
  for (auto it = received.rbegin(); it != received.rend(); ++it) {
    if (it->has_hello()) return it->hello();
  }
  return {};
}

api::AssignmentsApplied AgentWorld::LastApplied() const {
  for (auto it = received.rbegin(); it != received.rend(); ++it) {
    if (it->has_assignments_applied()) return it->assignments_applied();
  }
  return {};
}

appsupervisor::agent::v1::NodeRecord AgentWorld::DurableNode() const {
  appsupervisor::agent::v1::NodeRecord record;
  const auto it = durable.node.find("node");
  if (it != durable.node.end()) record.ParseFromString(it->second);
  return record;
}

api::InstanceStatus AgentWorld::StatusOf(const std::string& uid) const {
  for (auto it = statuses.rbegin(); it != statuses.rend(); ++it) {
    if (it->uid() == uid) return *it;
  }
  return {};
}

api::InstanceState AgentWorld::state(const std::string& uid) const { return core->StateOf(uid); }

api::Assignment RunAssignment(const std::string& uid, int64_t generation) {
  api::Assignment assignment;
  assignment.set_uid(uid);
  assignment.set_name(absl::StrCat("projects/default/apps/web/instances/", uid));
  assignment.set_app_uid("app1");
  assignment.set_generation(generation);
  assignment.set_digest(absl::StrCat("digest", generation));
  assignment.set_desired(api::DESIRED_STATE_RUN);
  assignment.set_revision(3);
  assignment.set_environment("eu");
  assignment.mutable_spec()->mutable_runtime()->mutable_process()->add_command("serve");
  return assignment;
}

api::Assignment With(api::Assignment assignment, api::DesiredState desired, int64_t generation) {
  assignment.set_desired(desired);
  assignment.set_generation(generation);
  assignment.set_digest(absl::StrCat("digest", generation));
  if (desired == api::DESIRED_STATE_REMOVE) assignment.clear_spec();
  return assignment;
}

}  // namespace appsup::agent
