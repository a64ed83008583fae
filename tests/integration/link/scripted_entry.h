#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "appsupervisor/v1/link.pb.h"
#include "common/mutex.h"
#include "common/rpc/server.h"
#include "entry/security/ca.h"
#include "tests/support/temp_dir.h"

namespace appsup::testing {

// A CA and the identity that it gave to node `n1`.
class ScriptedNode {
 public:
  ScriptedNode();
  const entry::Ca& ca() const { return ca_; }
  std::string ca_dir() const { return dir_.File("ca"); }
  std::string identity_dir() const { return dir_.File("identity"); }

 private:
  TempDir dir_;
  entry::Ca ca_;
};

// An entry that says what the test wants: takes every stream and writes to the newest. Thread-safe.
class ScriptedEntry {
 public:
  explicit ScriptedEntry(const ScriptedNode& node, const std::string& address = "127.0.0.1:0");

  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port(0)); }

  int streams();
  int written();
  int received();
  // All that was received on the newest stream, in order.
  std::vector<appsupervisor::v1::ConnectRequest> heard();

  // Written in the order of the calls.
  void Say(const appsupervisor::v1::ConnectResponse& message);
  void SayGoodbye(const appsupervisor::v1::Goodbye& goodbye);
  // Ends the newest stream without a word.
  void Break();
  // From now on writes again whenever the transport took a message.
  void Flood(const appsupervisor::v1::ConnectResponse& message);

 private:
  struct Sink;
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::shared_ptr<rpc::ServerCall> call_ ABSL_GUARDED_BY(mutex_);
  std::deque<appsupervisor::v1::ConnectResponse> unsaid_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool flooding_ ABSL_GUARDED_BY(mutex_) = false;
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
  int written_ ABSL_GUARDED_BY(mutex_) = 0;
  int received_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<appsupervisor::v1::ConnectRequest> heard_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace appsup::testing
