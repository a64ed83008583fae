#include "agent/core/adoption.h"

#include <algorithm>

namespace appsup::agent {
namespace {

bool Hosts(ProcessKind kind) { return kind == ProcessKind::kMain || kind == ProcessKind::kSetup; }

template <class T>
const std::vector<T>& Of(const std::map<std::string, std::vector<T>>& map, const std::string& uid) {
  static const std::vector<T> kNothing;
  const auto it = map.find(uid);
  return it == map.end() ? kNothing : it->second;
}

}  // namespace

InventoryIndex::InventoryIndex(const Inventory& inventory) {
  for (const RunningProcess& process : inventory.running) {
    if (Hosts(process.id.kind)) running[process.id.instance_uid].push_back(process);
  }
  for (const ExitedProcess& process : inventory.exits) {
    if (Hosts(process.id.kind)) exits[process.id.instance_uid].push_back(process);
  }
}

void InventoryIndex::Forget(const std::string& uid) {
  running.erase(uid);
  exits.erase(uid);
}

bool InventoryIndex::Exited(const ExitedProcess& process) {
  const auto it = running.find(process.id.instance_uid);
  if (it == running.end()) return false;
  if (std::erase_if(it->second, [&](const auto& other) { return other.id == process.id; }) == 0) {
    return false;
  }
  if (it->second.empty()) running.erase(it);
  exits[process.id.instance_uid].push_back(process);
  return true;
}

int64_t InventoryIndex::NewestAttempt(const std::string& uid) const {
  int64_t newest = 0;
  for (const auto& process : Of(running, uid)) newest = std::max(newest, process.id.attempt);
  for (const auto& process : Of(exits, uid)) newest = std::max(newest, process.id.attempt);
  return newest;
}

bool InventoryIndex::IsSetup(const std::string& uid) const {
  const auto setup = [](const auto& process) { return process.id.kind == ProcessKind::kSetup; };
  const auto& now = Of(running, uid);
  const auto& ended = Of(exits, uid);
  return std::any_of(now.begin(), now.end(), setup) ||
         (now.empty() && std::any_of(ended.begin(), ended.end(), setup));
}

Finding FindAttempt(const appsupervisor::agent::v1::InstanceRecord& record,
                    const std::string& boot_id, const InventoryIndex& inventory) {
  Finding finding;
  const std::string& uid = record.assignment().uid();
  if (record.has_open()) {
    finding.fate = Fate::kLost;
    if (!record.open().started()) finding.fate = Fate::kNotStarted;
    if (record.open().boot_id() != boot_id) finding.fate = Fate::kRebooted;
  }
  for (const ExitedProcess& process : Of(inventory.exits, uid)) {
    const bool open = record.has_open() && process.id.attempt == record.attempt();
    const bool newest = finding.exited.id.attempt <= process.id.attempt;
    if ((!open && process.id.attempt <= record.attempt()) || !newest) {
      finding.stale_exits.push_back(process.id);
      continue;
    }
    if (finding.fate == Fate::kExited) finding.stale_exits.push_back(finding.exited.id);
    finding.fate = Fate::kExited;
    finding.exited = process;
  }
  for (const RunningProcess& process : Of(inventory.running, uid)) {
    const bool newer = process.id.attempt > record.attempt();
    const bool open = record.has_open() && process.id.attempt == record.attempt();
    const int64_t found = finding.process.id.attempt;
    if ((!open && !newer) || process.id.attempt < found) {
      finding.stale_running.push_back(process.id);
      continue;
    }
    if (found > 0) finding.stale_running.push_back(finding.process.id);
    if (finding.fate == Fate::kExited) finding.stale_exits.push_back(finding.exited.id);
    finding.fate = newer ? Fate::kNewer : Fate::kRunning;
    finding.process = process;
  }
  return finding;
}

}  // namespace appsup::agent
