#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "agent/driver/driver.h"
#include "appsupervisor/v1/app.pb.h"
#include "appsupervisor/v1/link.pb.h"

// What the core wants done. The shell performs effects in the order of AgentCore::Flush, none of
// them blocking. Those that rest upon the journal come out only once it is durable.

namespace appsup::agent {

// --- Journal (agent/journal/journal.h).

enum class JournalTable { kNode = 1, kInstance = 2, kPort = 3 };

struct JournalPut {
  JournalTable table = JournalTable::kNode;
  std::string key;
  std::optional<std::string> value;  // A serialised record; nothing: the row is erased.
};
// Answered by JournalCommitted with this index or a later one. Indexes count from 1 in each start
// of the agent. What is not committed yet may be merged by key: the newest wins.
struct WriteJournal {
  uint64_t index = 0;
  std::vector<JournalPut> rows;
};

// --- Driver.

struct StartProcess {
  StartRequest request;
};
struct StopProcess {
  ProcessId id;
  int signal = 15;
  absl::Duration grace;
};
struct KillProcess {
  ProcessId id;
};
struct AckExit {
  ProcessId id;
};
struct RemoveFolders {
  uint64_t token = 0;
  std::vector<std::string> paths;
};

// --- Link.

// Only ever one that LinkWritable has not answered.
struct SendMessage {
  uint64_t session = 0;
  appsupervisor::v1::ConnectRequest message;
};
// Ends the session. The next one begins after `retry_after` (zero: as reconnects go).
struct CloseLink {
  uint64_t session = 0;
  std::string reason;
  absl::Duration retry_after;
  std::string go_to;   // Come back to this address instead; empty: the same.
  bool final = false;  // Coming back is useless.
};

// --- Jobs.

// Fetch, verify, unpack; done before: an answer at once. The cache keeps it until ReleaseArtifact.
struct PrepareArtifact {
  uint64_t token = 0;
  std::string uid;
  std::string app_uid;
  appsupervisor::v1::Artifact artifact;
  std::optional<appsupervisor::v1::Install> install;
};
// Nobody waits for `token` any more.
struct CancelArtifact {
  uint64_t token = 0;
};
// The install command has ended well in the folder of ArtifactPrepared: it need not run again.
struct MarkInstalled {
  uint64_t token = 0;
  std::string folder;
};
// The instance needs its artifact no more.
struct ReleaseArtifact {
  std::string uid;
};
struct PortToCheck {
  int32_t number = 0;
  bool udp = false;
  bool operator==(const PortToCheck&) const = default;
};
struct CheckPorts {
  uint64_t token = 0;
  std::vector<PortToCheck> ports;
};
// Until StopCheck, or StartCheck with another attempt. `check` has ports as numbers.
struct StartCheck {
  std::string uid;
  int64_t attempt = 0;
  appsupervisor::v1::Check check;
  std::string address;   // Host that the app listens on.
  StartRequest command;  // An exec check: how to run it; id.attempt counts up from there.
};
struct StopCheck {
  std::string uid;
};
struct ReadLogTail {
  std::string uid;
  int64_t attempt = 0;
};
struct ReadLog {
  uint64_t session = 0;
  int64_t command_id = 0;
  appsupervisor::v1::ReadLog read;
};
// Answered like the end of the read, or not at all.
struct CancelRead {
  uint64_t session = 0;
  int64_t command_id = 0;
};

// TimerDue at this boot time; replaces the one before.
struct SetTimer {
  absl::Duration boot_deadline;
};
// A line for the log: one per transition.
struct Note {
  bool warning = false;
  std::string event;  // kebab-case.
  std::vector<std::pair<std::string, std::string>> fields;
};

using Effect =
    std::variant<WriteJournal, StartProcess, StopProcess, KillProcess, AckExit, RemoveFolders,
                 SendMessage, CloseLink, PrepareArtifact, CancelArtifact, MarkInstalled,
                 ReleaseArtifact, CheckPorts, StartCheck, StopCheck, ReadLogTail, ReadLog,
                 CancelRead, SetTimer, Note>;

}  // namespace appsup::agent
