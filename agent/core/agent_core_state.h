#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/core/adoption.h"
#include "agent/core/agent_core.h"
#include "agent/core/instance.h"
#include "agent/core/link_session.h"
#include "agent/core/report_book.h"
#include "agent/core/turn.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "common/commit_gate.h"

namespace appsup::agent {

// The inside of AgentCore. On(event) for each event; what comes of it is staged and goes out in
// order by Flush. Core thread only.
struct AgentCore::State {
  State(CoreOptions core_options, const JournalContents& contents, const Moment& at);

  // agent_core.cc: events of this machine.
  void On(DriverUp& event);
  void On(const DriverDown& event);
  void On(const ProcessStarted& event);
  void On(const ProcessExited& event);
  void On(const FencesSet& event);
  void On(const FoldersRemoved& event);
  void On(const UsageSampled& event);
  void On(const JournalCommitted& event);
  void On(const JournalStalled& event);
  void On(const ArtifactPrepared& event);
  void On(const PortsChecked& event);
  void On(const ReadinessChanged& event);
  void On(const LogTailRead& event);
  void On(const TimerDue& event);
  void AdoptAll(Inventory inventory, bool first);
  void RunDeadlines();
  void WakeWaiting();

  // agent_core_link.cc: events of the link.
  void On(const LinkUp& event);
  void On(const LinkMessage& event);
  void On(const LinkWritable& event);
  void On(const LinkDown& event);
  void On(LogRead& event);
  void SayHello();
  std::vector<appsupervisor::v1::Hello> MakeHello() const;
  void OnWelcome(const appsupervisor::v1::ConnectResponse& message);
  void OnLeaseGranted(const appsupervisor::v1::LeaseGranted& granted);
  void OnAssignments(const appsupervisor::v1::Assignments& message);
  void OnAssignment(const appsupervisor::v1::Assignment& assignment,
                    appsupervisor::v1::AssignmentsApplied* applied);
  void GoOnAfter(const appsupervisor::v1::Assignment& assignment, Instance* held);
  void OnStatusAck(const appsupervisor::v1::StatusAck& ack);
  void OnCommand(const appsupervisor::v1::Command& command);
  void CloseSession(const std::string& reason);
  void EndSession();

  // agent_core_guard.cc: whom this node obeys.
  bool Obeys(const appsupervisor::v1::ConnectResponse& message);
  void Latch(const std::string& why);
  void AcceptCatalog(const appsupervisor::v1::ConnectResponse& message);
  void MeetStrangers(bool first);
  void CountStrangers();
  void ForgetStranger(const std::string& uid);
  absl::Status CheckGuard(const appsupervisor::v1::Assignment& assignment,
                          const Instance* held) const;
  appsupervisor::v1::Assignment Completed(const appsupervisor::v1::Assignment& assignment) const;

  // agent_core_flush.cc: from what happened to effects.
  template <class Call>
  void With(Instance& instance, Call call) {
    Turn turn{node, now, {}, {}};
    const auto before = instance.state();
    call(instance, turn);
    Finish(instance, turn, before);
  }
  template <class Call>
  void WithUid(const std::string& uid, Call call) {
    if (Instance* instance = Find(uid)) With(*instance, call);
  }
  template <class Call>
  void WithToken(uint64_t token, Call call) {
    const auto it = tokens.find(token);
    if (it == tokens.end()) return;
    const std::string uid = it->second;
    tokens.erase(it);
    WithUid(uid, call);
  }
  Instance* Find(const std::string& uid);
  void Finish(Instance& instance, Turn& turn, appsupervisor::v1::InstanceState before);
  void Add(Effect effect);
  void AddNote(bool warning, std::string event,
               std::vector<std::pair<std::string, std::string>> fields);
  void Erase(const std::string& uid);
  std::vector<JournalPut> TakeRows();
  std::vector<Effect> Flush();
  absl::Duration NextDeadline() const;

  const CoreOptions options;
  NodeContext node;
  Moment now;
  const absl::Duration started;  // Boot time of the first event.

  appsupervisor::agent::v1::NodeRecord record;
  std::map<std::string, std::unique_ptr<Instance>> instances;
  std::map<std::string, absl::Duration> deadlines;  // Of instances that have one.
  std::set<std::pair<absl::Duration, std::string>> by_deadline;
  std::map<uint64_t, std::string> tokens;  // Job -> instance.
  InventoryIndex strangers{Inventory{}};   // Processes of instances that are not held.
  bool driver_seen = false;
  const bool had_position;  // The journal knew a catalog when this agent was started.

  ReportBook reports;
  LinkSession session;
  uint64_t waiting_connection = 0;        // Is up, and waits for the first DriverUp.
  std::string reported_timeline;          // Whose entry got the reports of the last session.
  std::vector<std::string> said_drivers;  // What the last Hello said.
  bool resync_after_stall = false;
  bool wake_with_lease = false;  // A catalog was accepted: the next grant comes after its word.
  std::string stall;             // Why the journal cannot be written; empty: it can.

  // Staged until Flush.
  bool node_dirty = false;
  std::set<std::string> dirty;   // Instances whose record changed.
  std::set<std::string> erased;  // Instances that are held no more.
  std::set<std::string> to_report;
  std::optional<appsupervisor::v1::AssignmentsApplied> applied;
  std::vector<FenceChange> fences;
  std::vector<Effect> at_once;
  std::vector<Effect> after_commit;

  CommitGate<Effect> gate;
  uint64_t last_index = 0;
  uint64_t durable_index = 0;
  absl::Duration timer = absl::InfiniteDuration();
  appsupervisor::v1::ResourceTotals said_usage;
  uint64_t ignored_messages = 0;
  uint64_t resyncs = 0;
};

}  // namespace appsup::agent
