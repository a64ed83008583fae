#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "appsupervisor/v1/link.pb.h"
#include "entry/core/event.h"
#include "entry/core/transaction.h"
#include "google/protobuf/message.h"

// What the entry's core asks its shell to do, in order.
namespace appsup::entry {

using MessagePtr = std::shared_ptr<const google::protobuf::Message>;

// Make this durable, after all earlier ones; then CommitDone or CommitFailed.
struct Commit {
  Transaction transaction;
};

// Ends a call.
struct Reply {
  CallId call = 0;
  absl::StatusOr<MessagePtr> response;
};

// One message of a streaming call; StreamWritable follows when it is written.
struct StreamMessage {
  CallId call = 0;
  MessagePtr message;
};

// Ends a streaming call.
struct StreamEnd {
  CallId call = 0;
  absl::Status status;
};

// Read at most `limit` entries of the change log after `after_index`; then ChangesRead.
struct ReadChanges {
  CallId call = 0;
  int64_t after_index = 0;
  int limit = 0;
};

// Write this to an agent; AgentWritable follows. At most one per session is under way.
struct SendToAgent {
  SessionId session = 0;
  std::shared_ptr<const appsupervisor::v1::ConnectResponse> message;
};

// End this stream after what was sent. AgentDisconnected still follows.
struct CloseAgent {
  SessionId session = 0;
  std::string reason;
};

// Replaces the timer: TimerDue when CLOCK_BOOTTIME reaches it. InfiniteDuration: none.
struct SetTimer {
  absl::Duration at;
};

// A line for the log: one per transition, once what it tells of is durable.
struct Note {
  bool warning = false;
  std::string event;  // kebab-case.
  std::vector<std::pair<std::string, std::string>> fields;
};

using Effect = std::variant<Commit, Reply, StreamMessage, StreamEnd, ReadChanges, SendToAgent,
                            CloseAgent, SetTimer, Note>;

}  // namespace appsup::entry
