#include "agent/core/agent_core.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core_state.h"

namespace appsup::agent {

namespace api = appsupervisor::v1;
using appsupervisor::agent::v1::InstanceRecord;
using appsupervisor::agent::v1::NodeRecord;

namespace {

constexpr char kNodeKey[] = "node";
constexpr double kUsageShare = 0.05;  // A smaller change of the node's usage is not told.
constexpr int kWakeRounds = 4;

NodeRecord ReadNode(const JournalContents& contents) {
  NodeRecord record;
  const auto it = contents.node.find(kNodeKey);
  if (it != contents.node.end() && !record.ParseFromString(it->second)) record.Clear();
  record.set_start_count(record.start_count() + 1);
  return record;
}

bool Moved(int64_t from, int64_t to) {
  return static_cast<double>(std::abs(to - from)) >=
         std::max(1.0, kUsageShare * static_cast<double>(std::max(from, to)));
}

}  // namespace

AgentCore::State::State(CoreOptions core_options, const JournalContents& contents, const Moment& at)
    : options(std::move(core_options)),
      node(options),
      now(at),
      started(at.boot),
      record(ReadNode(contents)),
      had_position(record.has_position()),
      reports(record.start_count()),
      session(options) {
  node.node = record.node();
  node.guard = record.guard();
  node.driver_message = "the keeper was not reached yet";
  node.claims.Load(contents.ports);
  node_dirty = true;
  for (const auto& [uid, bytes] : contents.instances) {
    InstanceRecord instance;
    if (!instance.ParseFromString(bytes) || instance.assignment().uid() != uid) {
      AddNote(true, "journal-row-unreadable", {{"instance", uid}});
      continue;
    }
    instances[uid] = std::make_unique<Instance>(std::move(instance));
    if (instances[uid]->state() != api::INSTANCE_STATE_UNSPECIFIED) to_report.insert(uid);
  }
}

void AgentCore::State::On(DriverUp& event) {
  node.driver_up = true;
  node.driver = event.description;
  const bool first = !std::exchange(driver_seen, true);
  AddNote(false, "driver-up",
          {{"driver", node.driver.name},
           {"running", absl::StrCat(event.inventory.running.size())},
           {"exits", absl::StrCat(event.inventory.exits.size())}});
  AdoptAll(std::move(event.inventory), first);
  if (waiting_connection != 0) SayHello();
  if (session.connection() != 0 && said_drivers != node.driver.enforces) {
    CloseSession("what this node can enforce has changed");
  }
}

void AgentCore::State::AdoptAll(Inventory inventory, bool first) {
  strangers = InventoryIndex(inventory);
  for (auto& [uid, instance] : instances) {
    const Finding finding = FindAttempt(instance->record(), options.boot_id, strangers);
    strangers.Forget(uid);
    With(*instance, [&](Instance& it, Turn& turn) { it.Adopt(finding, turn); });
  }
  MeetStrangers(first);
}

void AgentCore::State::On(const DriverDown& event) {
  node.driver_up = false;
  node.driver_message =
      absl::StrCat("the keeper cannot be reached: ", std::string(event.reason.message()));
  AddNote(true, "driver-down", {{"reason", node.driver_message}});
}

void AgentCore::State::On(const ProcessStarted& event) {
  if (Instance* instance = Find(event.id.instance_uid)) {
    With(*instance, [&](Instance& it, Turn& turn) { it.OnStarted(event, turn); });
  } else if (event.result.ok()) {
    Add(KillProcess{event.id});  // Its instance was removed while it started.
  }
}

void AgentCore::State::On(const ProcessExited& event) {
  if (Instance* instance = Find(event.id.instance_uid)) {
    With(*instance, [&](Instance& it, Turn& turn) { it.OnExited(event, turn); });
  } else if (strangers.Exited({event.id, event.exit})) {
    CountStrangers();  // How it ended is kept for whoever will be told what it was.
    node.claims.Wake();
  } else if (!strangers.Knows(event.id.instance_uid)) {
    Add(AckExit{event.id});
  }
}

void AgentCore::State::On(const FencesSet& event) {
  for (const ProcessId& id : event.ids) {
    WithUid(id.instance_uid, [&](Instance& it, Turn& turn) { it.OnFenceSet(id, turn); });
  }
}

void AgentCore::State::On(const FoldersRemoved& event) {
  WithToken(event.token, [&](Instance& it, Turn& turn) { it.OnFoldersRemoved(event, turn); });
}

void AgentCore::State::On(const UsageSampled& event) {
  for (const ProcessUsage& usage : event.processes) {
    WithUid(usage.id.instance_uid, [&](Instance& it, Turn& turn) { it.OnUsage(usage, turn); });
  }
  if (Moved(said_usage.cpu_millis(), event.node.cpu_millis()) ||
      Moved(said_usage.memory_bytes(), event.node.memory_bytes()) ||
      Moved(said_usage.pids(), event.node.pids())) {
    said_usage = event.node;
    session.SetUsage(said_usage);
  }
}

void AgentCore::State::On(const JournalCommitted& event) {
  durable_index = std::max(durable_index, event.through);
  if (stall.empty()) return;
  AddNote(false, "journal-recovered", {});
  stall.clear();
  if (!std::exchange(resync_after_stall, false)) return;
  // What was refused meanwhile is asked for again.
  api::AssignmentsApplied again;
  again.set_version(session.version());
  again.set_resync(true);
  if (session.open()) applied = std::move(again);
}

void AgentCore::State::On(const JournalStalled& event) {
  if (stall.empty()) AddNote(true, "journal-stalled", {{"reason", event.message}});
  stall = event.message;
}

void AgentCore::State::On(const ArtifactPrepared& event) {
  WithToken(event.token, [&](Instance& it, Turn& turn) { it.OnArtifact(event, turn); });
}

void AgentCore::State::On(const PortsChecked& event) {
  WithToken(event.token, [&](Instance& it, Turn& turn) { it.OnPorts(event, turn); });
}

void AgentCore::State::On(const ReadinessChanged& event) {
  WithUid(event.uid, [&](Instance& it, Turn& turn) { it.OnReadiness(event, turn); });
}

void AgentCore::State::On(const LogTailRead& event) {
  WithUid(event.uid, [&](Instance& it, Turn& turn) { it.OnLogTail(event, turn); });
}

void AgentCore::State::On(const TimerDue&) { timer = absl::InfiniteDuration(); }

// Whatever the event was: time has passed too.
void AgentCore::State::RunDeadlines() {
  while (!by_deadline.empty() && by_deadline.begin()->first <= now.boot) {
    const std::string uid = by_deadline.begin()->second;
    WithUid(uid, [](Instance& it, Turn& turn) { it.OnDeadline(turn); });
  }
  if (waiting_connection != 0 && now.boot >= started + options.driver_patience) SayHello();
  if (session.Silent(now)) CloseSession("the entry has not answered for a whole lease");
}

void AgentCore::State::WakeWaiting() {
  for (int round = 0; round < kWakeRounds && node.claims.TakeReleased(); ++round) {
    for (auto& [uid, instance] : instances) {
      if (!instance->waits_for_release()) continue;
      With(*instance, [](Instance& it, Turn& turn) { it.OnReleased(turn); });
    }
  }
}

AgentCore::AgentCore(CoreOptions options, const JournalContents& contents, const Moment& now)
    : state_(std::make_unique<State>(std::move(options), contents, now)) {}

AgentCore::~AgentCore() = default;

void AgentCore::Handle(Event event, const Moment& now) {
  state_->now = now;
  std::visit([this](auto& it) { state_->On(it); }, event);
  state_->RunDeadlines();
  state_->WakeWaiting();
}

std::vector<Effect> AgentCore::Flush() { return state_->Flush(); }

AgentCore::Figures AgentCore::figures() const {
  Figures figures;
  figures.instances = state_->instances.size();
  figures.running = static_cast<size_t>(std::count_if(
      state_->instances.begin(), state_->instances.end(),
      [](const auto& entry) { return entry.second->state() == api::INSTANCE_STATE_RUNNING; }));
  figures.held_effects = state_->gate.size();
  figures.guarded = !state_->node.guard.empty();
  figures.connected = state_->session.open();
  figures.ignored_messages = state_->ignored_messages;
  figures.resyncs = state_->resyncs;
  return figures;
}

AgentCore::Held AgentCore::InUse() const {
  Held held;
  for (const auto& [uid, instance] : state_->instances) {
    held.instances.insert(uid);
    const std::string& folder = instance->record().artifact_folder();
    if (!folder.empty()) held.artifact_folders.insert(folder);
    if (folder.empty() && instance->record().has_open()) held.all_artifacts_known = false;
  }
  for (const auto& [uid, processes] : state_->strangers.running) {
    held.instances.insert(uid);
    held.all_artifacts_known = false;
  }
  for (const auto& [uid, exits] : state_->strangers.exits) held.instances.insert(uid);
  return held;
}

api::InstanceState AgentCore::StateOf(const std::string& uid) const {
  const auto it = state_->instances.find(uid);
  return it == state_->instances.end() ? api::INSTANCE_STATE_UNSPECIFIED : it->second->state();
}

}  // namespace appsup::agent
