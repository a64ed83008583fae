#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/effect.h"
#include "appsupervisor/v1/event_service.pb.h"
#include "appsupervisor/v1/link.pb.h"
#include "entry/core/effect.h"
#include "tests/simulation/durable.h"
#include "tests/simulation/network.h"
#include "tests/simulation/process_plan.h"

namespace appsup::simulation {

// A call of the API as its caller made it.
struct ClientCall {
  entry::CallId id = 0;
  std::string method;  // "AppService/CreateApp".
  entry::MessagePtr request;
};

// Who looks at what happens. Each call comes at the moment at which it happens; none may change
// anything. Promises are checked here.
class Observer {
 public:
  virtual ~Observer() = default;

  // --- The entry's disk. `before` and `after`: nullptr if there was or is no such row.
  virtual void OnAppRow(const rec::AppRecord* /*before*/, const rec::AppRecord* /*after*/) {}
  virtual void OnInstanceRow(const rec::InstanceRecord* /*before*/,
                             const rec::InstanceRecord* /*after*/) {}
  virtual void OnOperationRow(const rec::OperationRecord* /*before*/,
                              const rec::OperationRecord* /*after*/) {}
  // It is durable now. `epoch`: of the entry that wrote it.
  virtual void OnCommitted(const entry::Transaction& /*transaction*/, int64_t /*epoch*/) {}
  // Another content took its place: a backup, or nothing.
  virtual void OnStoreReplaced() {}

  // --- The entry.
  virtual void OnLeading(int64_t /*epoch*/) {}
  virtual void OnReply(const ClientCall& /*call*/,
                       const absl::StatusOr<entry::MessagePtr>& /*reply*/) {}
  virtual void OnWatched(const ClientCall& /*call*/, const api::Event& /*event*/) {}
  virtual void OnEntrySays(StreamId /*stream*/, int /*node*/,
                           const api::ConnectResponse& /*message*/) {}
  virtual void OnEntryWritable(StreamId /*stream*/) {}

  // --- An agent.
  virtual void OnAgentSays(int /*node*/, StreamId /*stream*/,
                           const api::ConnectRequest& /*message*/) {}
  virtual void OnAgentHears(int /*node*/, const api::ConnectResponse& /*message*/) {}
  virtual void OnAgentWritable(int /*node*/) {}
  virtual void OnAgentStarted(int /*node*/) {}
  // What the agent asks of its keeper.
  virtual void OnAsked(int /*node*/, const agent::StartProcess& /*start*/) {}
  virtual void OnAsked(int /*node*/, const agent::StopProcess& /*stop*/) {}
  virtual void OnAsked(int /*node*/, const agent::KillProcess& /*kill*/) {}
  virtual void OnAsked(int /*node*/, const agent::AckExit& /*ack*/) {}
  virtual void OnAsked(int /*node*/, const agent::RemoveFolders& /*remove*/) {}
  // Rows of its journal are durable now; the journal is as before them.
  virtual void OnJournalWritten(int /*node*/, const std::vector<agent::JournalPut>& /*rows*/) {}
  virtual void OnJournalLost(int /*node*/) {}
  // Its newest commit was torn: these rows are again as they were before it.
  virtual void OnJournalTorn(int /*node*/, const std::vector<agent::JournalPut>& /*rows*/) {}

  // --- What really runs.
  virtual void OnTreeStarted(const Tree& /*tree*/) {}
  virtual void OnTreeFenced(const Tree& /*tree*/) {}
  virtual void OnTreeEnded(const Tree& /*tree*/, const agent::ProcessExit& /*exit*/) {}
};

}  // namespace appsup::simulation
