#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "appsupervisor/v1/link.pb.h"
#include "entry/core/principal.h"
#include "entry/core/transaction.h"
#include "google/protobuf/message.h"

// What can happen to the entry's core. Plain data: an entry's run can be recorded and replayed.
namespace appsup::entry {

using CallId = uint64_t;
using SessionId = uint64_t;

// An API call that passed Authorize. Answered by exactly one Reply, or by StreamMessages and one
// StreamEnd where the method streams.
struct ApiCall {
  CallId call = 0;
  std::string method;  // "appsupervisor.v1.AppService/CreateApp".
  std::shared_ptr<const google::protobuf::Message> request;
  Principal principal;
  std::string entropy;  // 32 random bytes, for secrets that the call may make.
};

// The caller went away. Nothing is undone.
struct CallCancelled {
  CallId call = 0;
};

// The last StreamMessage of this call was written; the next may be sent.
struct StreamWritable {
  CallId call = 0;
};

// Answer to ReadChanges: entries after the asked index, in order.
struct ChangesRead {
  CallId call = 0;
  absl::StatusOr<std::vector<ChangeEntry>> changes;
};

// An agent opened a stream and showed a certificate that the CA signed.
struct AgentConnected {
  SessionId session = 0;
  std::string node;      // Id, from the certificate.
  std::string node_uid;  // From the certificate.
  std::string peer;      // Address, for logs and messages.
  std::string secret;    // Fresh random secret for Welcome.
  absl::Time certificate_expires;
};

struct AgentMessage {
  SessionId session = 0;
  std::shared_ptr<const appsupervisor::v1::ConnectRequest> message;
};

// The last SendToAgent of this session was written; the next may be sent.
struct AgentWritable {
  SessionId session = 0;
};

struct AgentDisconnected {
  SessionId session = 0;
};

// The transactions up to this index are durable.
struct CommitDone {
  int64_t index = 0;
};

// A commit failed or its outcome is unknown. The core answers every open call UNAVAILABLE and is
// then discarded; the shell builds a new one from the store.
struct CommitFailed {
  absl::Status status;
};

// The time of the last SetTimer has come.
struct TimerDue {};

using Event =
    std::variant<ApiCall, CallCancelled, StreamWritable, ChangesRead, AgentConnected, AgentMessage,
                 AgentWritable, AgentDisconnected, CommitDone, CommitFailed, TimerDue>;

}  // namespace appsup::entry
