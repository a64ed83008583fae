#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "appsupervisor/v1/link.pb.h"
#include "entry/core/assignment_set.h"
#include "entry/core/catalog.h"
#include "entry/core/event.h"

namespace appsup::entry {

// One stream of one agent: what it said first, and what it is still to be told. Bounded whatever
// the peer does: at most one message is under way, and what waits is keyed. Core thread only.
//
//   kHello ──(last part of Hello)──▶ kOpen ──▶ kClosing ──▶ gone (AgentDisconnected)
//      └────────────(refused)───────────────────▶┘
class AgentSession {
 public:
  enum class Phase { kHello, kOpen, kClosing };
  using OnResult = std::function<void(const api::LogChunk* chunk, const absl::Status& status)>;

  static constexpr int kMaxHeldInstances = 100'000;  // Named in one Hello.
  static constexpr size_t kMaxOpenCommands = 64;
  static constexpr size_t kMaxMessageBytes = 900'000;  // Of statements in one message.
  static constexpr size_t kMaxAcks = 10'000;           // In one message.

  explicit AgentSession(const AgentConnected& event);

  Phase phase() const { return phase_; }
  SessionId id() const { return connected_.session; }
  const std::string& node() const { return node_; }  // "nodes/n".
  const std::string& name() const { return name_; }  // As Welcome says; empty until Open.
  const AgentConnected& connected() const { return connected_; }

  // Collects the parts of Hello. Returns whether it is complete; an error ends the session.
  absl::StatusOr<bool> AddHello(const api::Hello& part);
  const api::Hello& hello() const { return hello_; }

  // The entry took the session. `grants_held`: the node was LOST; no lease before it has applied
  // what it is told now.
  void Open(api::Welcome welcome, bool grants_held);
  AssignmentSet& assignments() { return assignments_; }

  // A heartbeat came. It is answered unless grants are held.
  void Heard(const api::Heartbeat& heartbeat);
  bool grants_held() const { return grants_held_; }
  void ReleaseGrants() { grants_held_ = false; }

  void Acknowledge(const api::InstanceStatus& status);

  // RESOURCE_EXHAUSTED if too many are open.
  absl::Status AddCommand(int64_t id, api::Command command, OnResult on_result);
  void CancelCommand(int64_t id);
  void TakeChunk(const api::LogChunk& chunk);
  void TakeResult(const api::CommandResult& result);
  // Ends all of them with this.
  void FailCommands(const absl::Status& status);

  // The node follows another history, or may: it keeps its own position, so that it is no less a
  // stranger when it connects the next time.
  void WithholdPosition() { position_withheld_ = true; }

  // Nothing else is said after this. The first one counts.
  void Close(api::Goodbye goodbye);
  // It does not read: a Goodbye would not arrive either.
  void Abandon() { abandoned_ = true; }
  // True once, when everything was said that will be.
  bool TakeEnd() {
    const bool ends = phase_ == Phase::kClosing && (said_goodbye_ || abandoned_) && !ended_;
    ended_ = ended_ || ends;
    return ends;
  }
  const std::string& close_reason() const { return goodbye_.reason(); }

  // The next message, or nullptr if there is nothing to say or one is under way. It is under way
  // until Written. `position` is where the catalog stands.
  std::unique_ptr<api::ConnectResponse> Compose(const Catalog& catalog,
                                                const api::Position& position);
  bool under_way() const { return under_way_; }
  void Written() { under_way_ = false; }

 private:
  struct OpenCommand {
    std::optional<api::Command> unsent;
    OnResult on_result;
  };

  bool ComposeUrgent(api::ConnectResponse& message);
  bool ComposeAcks(api::ConnectResponse& message);
  bool ComposeAssignments(const Catalog& catalog, const api::Position& position,
                          api::ConnectResponse& message);
  bool ComposeCommand(api::ConnectResponse& message);

  const AgentConnected connected_;
  const std::string node_;
  std::string name_;
  Phase phase_ = Phase::kHello;
  api::Hello hello_;
  bool hello_began_ = false;

  std::optional<api::Welcome> welcome_;  // Not sent yet.
  AssignmentSet assignments_;
  std::map<std::string, std::pair<int64_t, int64_t>> acks_;  // Uid → (attempt, sequence).
  int64_t heartbeat_ = 0;                                    // Newest number.
  bool grant_due_ = false;
  bool grants_held_ = false;
  bool position_withheld_ = false;
  std::map<int64_t, OpenCommand> commands_;
  std::deque<int64_t> unsent_commands_;  // Ids; those that were cancelled are skipped.
  std::deque<int64_t> cancels_;          // At most kMaxOpenCommands.
  api::Goodbye goodbye_;
  bool said_goodbye_ = false;
  bool abandoned_ = false;
  bool ended_ = false;
  bool under_way_ = false;
  int turn_ = 0;  // Whose turn it is: acks, assignments, commands.
};

}  // namespace appsup::entry
