#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/core/link_event.h"
#include "agent/core/process.h"
#include "appsupervisor/v1/environment.pb.h"
#include "appsupervisor/v1/link.pb.h"

// What can happen to an agent. The shell makes these on its loop thread; AgentCore::Handle takes
// one at a time. `token` is the one of the effect that is answered.

namespace appsup::agent {

// --- Driver (driver.h says when).

// Comes before anything else of the driver, and again after each DriverDown.
struct DriverUp {
  DriverDescription description;
  Inventory inventory;
};
struct DriverDown {
  absl::Status reason;
};
// Answers StartProcess.
struct ProcessStarted {
  ProcessId id;
  absl::StatusOr<Started> result;
};
struct ProcessExited {
  ProcessId id;
  ProcessExit exit;
};
// Answers SetFences: the driver holds the newest fence of each of these.
struct FencesSet {
  std::vector<ProcessId> ids;
};
// Answers RemoveFolders.
struct FoldersRemoved {
  uint64_t token = 0;
  absl::Status status;
};
struct UsageSampled {
  std::vector<ProcessUsage> processes;
  appsupervisor::v1::ResourceTotals node;
};

// --- Journal.

// Every WriteJournal with an index up to this one is durable.
struct JournalCommitted {
  uint64_t through = 0;
};
// A commit failed in a way that may pass (disk full). The shell keeps what was to be written and
// tries again; JournalCommitted ends this. Nothing new is accepted meanwhile.
struct JournalStalled {
  std::string message;  // A sentence.
};

// --- Link: link_event.h.

// --- Jobs.

// Answers PrepareArtifact: it is fetched, verified, unpacked and installed, or `status` says why
// not.
struct ArtifactPrepared {
  uint64_t token = 0;
  absl::Status status;
  std::string folder;    // Absolute: where its files are.
  std::string sha256;    // Of the file that was fetched.
  bool lasting = false;  // It would end the same at each try, unless its source or spec changes.
};
// Answers CheckPorts.
struct PortsChecked {
  uint64_t token = 0;
  std::vector<int32_t> busy;  // Those that another program uses.
};
// The verdict of the readiness check, thresholds counted; sent when it or its reason changes.
struct ReadinessChanged {
  std::string uid;
  int64_t attempt = 0;
  bool ready = false;
  std::string message;  // Why it is not ready.
};
// Answers ReadLogTail.
struct LogTailRead {
  std::string uid;
  int64_t attempt = 0;
  std::vector<std::string> lines;
};
// Answers ReadLog.
struct LogRead {
  uint64_t connection = 0;
  int64_t command_id = 0;
  absl::Status status;
  bool has_chunk = false;
  appsupervisor::v1::LogChunk chunk;
};

// The time of SetTimer has come. May come early or twice.
struct TimerDue {};

using Event = std::variant<DriverUp, DriverDown, ProcessStarted, ProcessExited, FencesSet,
                           FoldersRemoved, UsageSampled, JournalCommitted, JournalStalled, LinkUp,
                           LinkMessage, LinkWritable, LinkDown, ArtifactPrepared, PortsChecked,
                           ReadinessChanged, LogTailRead, LogRead, TimerDue>;

}  // namespace appsup::agent
