#include "agent/core/adoption.h"

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
    if (record.has_open() && process.id.attempt == record.attempt()) {
      finding.fate = Fate::kExited;
      finding.exit = process.exit;
    } else {
      finding.stale_exits.push_back(process.id);
    }
  }
  for (const RunningProcess& process : Of(inventory.running, uid)) {
    const bool newer = process.id.attempt > record.attempt();
    const bool open = record.has_open() && process.id.attempt == record.attempt();
    if (newer || open) {
      finding.fate = newer ? Fate::kNewer : Fate::kRunning;
      finding.process = process;
    } else {
      finding.stale_running.push_back(process.id);
    }
  }
  return finding;
}

}  // namespace appsup::agent
