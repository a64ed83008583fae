// From what happened to effects: stages, journal rows, the commit gate.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core_state.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;
using appsupervisor::agent::v1::PortRecord;

// What changes the world, or is answered for ever, waits until the journal has the reason for it.
bool WaitsForJournal(const Effect& effect) {
  return std::holds_alternative<StartProcess>(effect) ||
         std::holds_alternative<StopProcess>(effect) ||
         std::holds_alternative<KillProcess>(effect) || std::holds_alternative<AckExit>(effect) ||
         std::holds_alternative<RemoveFolders>(effect);
}

}  // namespace

Instance* AgentCore::State::Find(const std::string& uid) {
  const auto it = instances.find(uid);
  return it == instances.end() ? nullptr : it->second.get();
}

void AgentCore::State::Finish(Instance& instance, Turn& turn, api::InstanceState before) {
  const std::string uid = instance.uid();
  if (turn.persist) dirty.insert(uid);
  if (turn.report && instance.state() != api::INSTANCE_STATE_UNSPECIFIED) to_report.insert(uid);
  for (FenceChange& change : turn.fences) fences.push_back(std::move(change));
  for (Effect& effect : turn.effects) {
    if (const auto* cancel = std::get_if<CancelArtifact>(&effect)) tokens.erase(cancel->token);
    Add(std::move(effect));
  }
  if (instance.token() != 0) tokens[instance.token()] = uid;
  if (const auto old = deadlines.find(uid); old != deadlines.end()) {
    by_deadline.erase({old->second, uid});
    deadlines.erase(old);
  }
  if (instance.deadline() != absl::InfiniteDuration()) {
    deadlines[uid] = instance.deadline();
    by_deadline.insert({instance.deadline(), uid});
  }
  if (instance.state() == before) return;
  const api::InstanceStatus status = instance.Status(node);
  const std::string& name = instance.record().assignment().name();
  AddNote(status.state() == api::INSTANCE_STATE_FAILED, "instance-state",
          {{"instance", uid},
           {"name", name},
           {"app", name.substr(0, name.find("/instances/"))},
           {"state", api::InstanceState_Name(status.state())},
           {"attempt", absl::StrCat(status.attempt())},
           {"message", status.message()}});
}

void AgentCore::State::Add(Effect effect) {
  (WaitsForJournal(effect) ? after_commit : at_once).push_back(std::move(effect));
}

void AgentCore::State::AddNote(bool warning, std::string event,
                               std::vector<std::pair<std::string, std::string>> fields) {
  at_once.push_back(Note{warning, std::move(event), std::move(fields)});
}

void AgentCore::State::Erase(const std::string& uid) {
  node.claims.Release(uid);
  if (const auto it = deadlines.find(uid); it != deadlines.end()) {
    by_deadline.erase({it->second, uid});
    deadlines.erase(it);
  }
  instances.erase(uid);
  reports.Forget(uid);
  to_report.erase(uid);
  dirty.erase(uid);
  erased.insert(uid);
}

std::vector<JournalPut> AgentCore::State::TakeRows() {
  std::vector<JournalPut> rows;
  if (std::exchange(node_dirty, false)) {
    rows.push_back({JournalTable::kNode, "node", record.SerializeAsString()});
  }
  for (const auto& [key, number] : node.claims.TakeRows()) {
    PortRecord port;
    port.set_number(number);
    rows.push_back({JournalTable::kPort, key,
                    number == 0 ? std::nullopt : std::optional(port.SerializeAsString())});
  }
  for (const std::string& uid : erased) {
    if (!instances.contains(uid)) rows.push_back({JournalTable::kInstance, uid, std::nullopt});
  }
  for (const std::string& uid : dirty) {
    rows.push_back({JournalTable::kInstance, uid, instances.at(uid)->record().SerializeAsString()});
  }
  erased.clear();
  dirty.clear();
  return rows;
}

std::vector<Effect> AgentCore::State::Flush() {
  std::vector<Effect> effects;
  if (std::vector<JournalPut> rows = TakeRows(); !rows.empty()) {
    effects.push_back(WriteJournal{++last_index, std::move(rows)});
  }
  for (const std::string& uid : to_report) {
    Instance* it = Find(uid);
    if (it != nullptr && !it->waits_for_log_tail()) reports.Report(it->Status(node), last_index);
  }
  to_report.clear();
  if (applied) session.Applied(std::move(*applied), last_index);
  applied.reset();
  if (!fences.empty()) effects.push_back(SetFences{std::exchange(fences, {})});
  for (Effect& effect : at_once) effects.push_back(std::move(effect));
  at_once.clear();
  for (Effect& effect : after_commit) gate.Hold(last_index, std::move(effect));
  after_commit.clear();
  for (Effect& effect : gate.Release(durable_index)) effects.push_back(std::move(effect));
  if (auto message = session.Next(reports, durable_index, now)) {
    effects.push_back(SendMessage{session.connection(), std::move(message)});
  }
  if (const absl::Duration next = NextDeadline(); next != timer) {
    timer = next;
    if (next != absl::InfiniteDuration()) effects.push_back(SetTimer{next});
  }
  return effects;
}

absl::Duration AgentCore::State::NextDeadline() const {
  absl::Duration next = session.deadline(reports, now);
  if (!by_deadline.empty()) next = std::min(next, by_deadline.begin()->first);
  if (waiting_connection != 0) next = std::min(next, started + options.driver_patience);
  return next;
}

}  // namespace appsup::agent
