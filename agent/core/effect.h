#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "agent/core/process.h"
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
struct SetFences {
  std::vector<FenceChange> changes;
};
struct RemoveFolders {
  uint64_t token = 0;
  std::vector<std::string> paths;
};

// --- Link.

// Only ever one that LinkWritable has not answered.
struct SendMessage {
  uint64_t connection = 0;
  std::shared_ptr<const appsupervisor::v1::ConnectRequest> message;
};
struct CloseLink {
  uint64_t connection = 0;
  std::string reason;
};

// --- Jobs.

// Fetch, verify, unpack, install; what was done before is not done again. AgentCore::InUse names
// what the cache must keep.
struct PrepareArtifact {
  uint64_t token = 0;
  appsupervisor::v1::Artifact artifact;
  appsupervisor::v1::Install install;
};
// Nobody waits for `token` any more.
struct CancelArtifact {
  uint64_t token = 0;
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
// The verdicts come as ReadinessChanged, until StopCheck.
struct StartCheck {
  std::string uid;
  int64_t attempt = 0;
  appsupervisor::v1::Check check;
  std::string address;                    // That the app listens on.
  std::map<std::string, uint16_t> ports;  // By name.
  // An exec check is run like this: the app's own request with an empty command.
  StartRequest like;
  bool passing = false;  // It did when it was last heard of: so it does until it fails.
};
struct StopCheck {
  std::string uid;
  int64_t attempt = 0;
};
struct ReadLogTail {
  std::string uid;
  int64_t attempt = 0;
};
struct ReadLog {
  uint64_t connection = 0;
  int64_t command_id = 0;
  appsupervisor::v1::ReadLog read;
};
// Answered like the end of the read, or not at all.
struct CancelRead {
  uint64_t connection = 0;
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
    std::variant<WriteJournal, StartProcess, StopProcess, KillProcess, AckExit, SetFences,
                 RemoveFolders, SendMessage, CloseLink, PrepareArtifact, CancelArtifact, CheckPorts,
                 StartCheck, StopCheck, ReadLogTail, ReadLog, CancelRead, SetTimer, Note>;

}  // namespace appsup::agent
