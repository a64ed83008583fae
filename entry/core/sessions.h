#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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
// outgoing side is a keyed map (newest statement per instance) of which at most one message is
// under way, so memory is bounded whatever the peer does. Nodes are given by name ("nodes/n"). Core
// thread only.
//
// A lease runs from the receipt of a heartbeat. A node whose lease ended is LOST, and its stream is
// ended; from then on it gets no lease until it has connected again and applied what it was told.
// Nodes that were there before this entry's start have two leases' time to come back.
class Sessions {
 public:
  // Makes all nodes dirty. `timeline` and `epoch` are put on every message.
  Sessions(const CoreOptions& options, Catalog& catalog, Dirty& dirty, Random& random,
           int64_t epoch, const std::string& timeline, const Moment& now);
  ~Sessions();

  void Connected(const AgentConnected& event, const Moment& now);
  void Received(const AgentMessage& event, const Moment& now);
  void Writable(SessionId session, const Moment& now);
  void Disconnected(SessionId session, const Moment& now);

  // Ends leases that are over: LOST nodes become dirty. Ends streams of peers that do not say Hello
  // or do not read, or whose certificate expired.
  void Expire(const Moment& now);

  // The statements to these instances changed (already in the catalog).
  void AssignmentChanged(const std::string& node, const std::string& instance_name);

  // Composes what can be sent now: SendToAgent, CloseAgent. Call after reconciling.
  std::vector<Effect> Collect(const Moment& now);

  // Lines for the log since the last call: nodes that came and went.
  std::vector<Note> TakeNotes();

  // Sends a command to a node's agent; the results come to `on_result`, at most one LogChunk and
  // then the CommandResult's status. Fails with UNAVAILABLE if the node is not connected, with
  // RESOURCE_EXHAUSTED if too many commands are open there. Returns an id for CancelCommand.
  // UNAVAILABLE also comes to `on_result` when the session ends.
  using CommandResult = std::function<void(const api::LogChunk* chunk, const absl::Status& status)>;
  absl::StatusOr<int64_t> SendCommand(const std::string& node, api::Command command,
                                      CommandResult on_result);
  // `on_result` is not called any more.
  void CancelCommand(const std::string& node, int64_t id);

  // Ends a node's stream, with a Goodbye. `final`: coming back is useless. Its lease runs on.
  void Close(const std::string& node, const std::string& reason, bool final);
  // The node was deleted.
  void Forget(const std::string& node);

  // A session is open and its lease runs.
  bool Connected(const std::string& node) const;
  // Its lease ended. A node that never connected is not lost.
  bool Lost(const std::string& node) const;
  // When that was decided, on the boot clock, or when this entry started if it was before; nothing
  // if its lease runs or is not known to have ended. Also of nodes that were revoked.
  std::optional<absl::Duration> LostSince(const std::string& node) const;
  // When the node's lease ends, or InfiniteFuture if it has none.
  absl::Time LeaseExpires(const std::string& node, const Moment& now) const;
  // Puts in what is only known in memory: when the lease ends, and what is in use.
  void FillStatus(const std::string& node, const Moment& now, api::NodeStatus* status) const;

  // The next time that Expire has work, on the boot clock.
  absl::Duration next_deadline() const;

  // What was ignored, for metrics.
  struct Counters {
    int64_t sessions = 0;           // Streams that are open now.
    int64_t unknown_messages = 0;   // Arms that this version does not know.
    int64_t unknown_statuses = 0;   // Of instances that the catalog does not know.
    int64_t foreign_statuses = 0;   // Of instances of another node.
    int64_t repeated_statuses = 0;  // Not newer than what was known.
    int64_t refused_hellos = 0;
    int64_t leases_lost = 0;
    int64_t resyncs = 0;
  };
  Counters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace appsup::entry
