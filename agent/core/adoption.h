#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/core/process.h"
#include "appsupervisor/agent/v1/journal.pb.h"

namespace appsup::agent {

// What became of the attempt that the journal says may be running.
enum class Fate {
  kNone,        // There is no such attempt.
  kRunning,     // The driver has it: same attempt.
  kNewer,       // The driver has a later attempt: the journal is older than the process.
  kExited,      // The driver knows how it ended; it, or a later one that the journal lost.
  kNotStarted,  // The driver never confirmed it and does not know it; Start may be repeated.
  kRebooted,    // It ended with an earlier start of the machine.
  kLost,        // The driver had it and knows it no more: exit code unknown.
};

struct Finding {
  Fate fate = Fate::kNone;
  RunningProcess process;  // kRunning, kNewer.
  ExitedProcess exited;    // kExited.
  std::vector<ProcessId>
      stale_running;                   // Earlier attempts, whose end the journal has: to be killed.
  std::vector<ProcessId> stale_exits;  // Exits that the journal has: to be acknowledged.
};

// The inventory by instance. Only MAIN and SETUP processes.
struct InventoryIndex {
  explicit InventoryIndex(const Inventory& inventory);

  bool Knows(const std::string& uid) const { return running.contains(uid) || exits.contains(uid); }
  void Forget(const std::string& uid);
  // True if it was running here, and so is kept among the exits now.
  bool Exited(const ExitedProcess& process);
  // Of its newest process, running or not; 0 if there is none.
  int64_t NewestAttempt(const std::string& uid) const;
  // Its processes are a setup command's.
  bool IsSetup(const std::string& uid) const;

  std::map<std::string, std::vector<RunningProcess>> running;
  std::map<std::string, std::vector<ExitedProcess>> exits;
};

// Compares one record with what the driver holds. Pure.
Finding FindAttempt(const appsupervisor::agent::v1::InstanceRecord& record,
                    const std::string& boot_id, const InventoryIndex& inventory);

}  // namespace appsup::agent
