#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/random.h"
#include "entry/core/catalog.h"
#include "entry/core/dirty.h"
#include "entry/core/effect.h"
#include "entry/core/event.h"
#include "entry/core/options.h"

namespace appsup::entry {

class AgentSession;

// The agents' sessions: hello, differences, statuses, heartbeats, commands, leases. Each session's
// outgoing side is a keyed map (newest statement per instance) of which at most one message is under
// way, so memory is bounded whatever the peer does. Core thread only.
class Sessions {
 public:
  Sessions(const CoreOptions& options, Catalog& catalog, Dirty& dirty, Random& random,
           int64_t epoch, const std::string& timeline, const Moment& now);
  ~Sessions();

  void Connected(const AgentConnected& event, const Moment& now);
  void Received(const AgentMessage& event, const Moment& now);
  void Writable(SessionId session, const Moment& now);
  void Disconnected(SessionId session, const Moment& now);

  // Ends leases that are over; LOST nodes and their apps become dirty.
  void Expire(const Moment& now);

  // The statements to these instances changed (already in the catalog).
  void AssignmentChanged(const std::string& node, const std::string& instance_name);

  // Composes what can be sent now: SendToAgent, CloseAgent. Call after reconciling.
  std::vector<Effect> Collect(const Moment& now);

  // Sends a command to a node's agent; the results come to `on_result`, at most one LogChunk and
  // then the CommandResult's status. Fails with UNAVAILABLE if the node is not connected, with
  // RESOURCE_EXHAUSTED if too many commands are open there. Returns an id for CancelCommand.
  using CommandResult = std::function<void(const api::LogChunk* chunk, const absl::Status& status)>;
  absl::StatusOr<int64_t> SendCommand(const std::string& node, api::Command command,
                                      CommandResult on_result);
  void CancelCommand(const std::string& node, int64_t id);

  // Ends a node's stream, with a Goodbye.
  void Close(const std::string& node, const std::string& reason, bool final);

  // A session is open and its lease runs.
  bool Connected(const std::string& node) const;
  // When the node's lease ends, if it has one.
  absl::Time LeaseExpires(const std::string& node, const Moment& now) const;

  // The next time that Expire has work.
  absl::Duration next_deadline() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace appsup::entry
