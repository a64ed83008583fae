#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/core/agent_core.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "appsupervisor/v1/link.pb.h"

namespace appsup::agent {

// A machine for one AgentCore: journal, driver, jobs and the entry's end of the link, all in memory
// and under virtual time. What it does by itself can be switched off, to look in between. Fences
// hold as with a keeper: at their moments, whether an agent lives or not.
class AgentWorld {
 public:
  AgentWorld();
  ~AgentWorld();

  // --- What happens by itself.
  bool commits = true;   // Journal writes are durable at once.
  bool starts = true;    // Processes start at once.
  bool stops = true;     // Processes end when they are told to.
  bool removes = true;   // Folders are removed at once.
  bool writable = true;  // The link takes messages at once.
  bool acks = true;      // The entry acknowledges statuses at once.
  bool grants = true;    // The entry answers heartbeats at once.
  bool fetches = true;   // Artifacts are ready at once.
  bool confirms = true;  // The driver answers SetFences at once.
  std::vector<std::string> enforces = {"cpu", "memory", "deadline"};
  std::set<int32_t> busy;   // Ports that other programs use.
  std::string start_error;  // Not empty: starts fail with it.
  std::vector<std::string> log_tail = {"last words"};

  // --- Life of the agent.
  void Boot();           // A new agent process on this machine, from what is durable.
  void KillAgent();      // What was not durable is gone; processes go on.
  void Reboot();         // KillAgent, and every process ends.
  void LoseJournal();    // Of a dead agent.
  void TearJournal();    // Of a dead agent: its last commit is gone.
  void KillKeeper();     // Fenced processes die with it; DisconnectDriver.
  void ConnectDriver();  // DriverUp with what runs.
  void DisconnectDriver();
  void Handle(Event event);
  void Advance(absl::Duration by);  // Timers fire, and fences act, on the way.
  void JumpWallClock(absl::Duration by) { now.wall += by; }
  void CommitAll();  // What `commits` held back.

  // --- Entry.
  void Connect(const std::string& timeline = "t1", int64_t epoch = 1);  // Up to Welcome.
  void LinkUpOnly();
  void Welcome(const std::string& timeline = "t1", int64_t epoch = 1);
  // The present session's entry answers the heartbeat that came last.
  void Grant();
  void Disconnect();
  void Say(appsupervisor::v1::ConnectResponse message, const std::string& timeline = "",
           int64_t epoch = 0);
  // INCREMENTAL from the version said before.
  void Assign(std::vector<appsupervisor::v1::Assignment> assignments);
  void Assign(const appsupervisor::v1::Assignment& assignment) { Assign(std::vector{assignment}); }

  // --- Processes.
  struct Process {
    StartRequest request;
    int64_t pid = 0;
    absl::Duration start_time;
    bool told_to_stop = false;
    std::optional<Fence> fence = {};
    bool fence_reached = false;  // Its stop has begun.
  };
  // One that no agent here has started.
  void RunStranger(const ProcessId& id, const std::string& app_uid = "app1",
                   std::optional<Fence> fence = {});
  void Exit(const std::string& uid, int code, int signal = 0);
  bool Runs(const std::string& uid) const;
  const Process& RunningOf(const std::string& uid) const;  // Dies if there is none.

  // --- What was seen.
  appsupervisor::v1::Hello LastHello() const;
  appsupervisor::v1::AssignmentsApplied LastApplied() const;
  appsupervisor::agent::v1::NodeRecord DurableNode() const;
  // The newest status that the entry got; without uid if there was none.
  appsupervisor::v1::InstanceStatus StatusOf(const std::string& uid) const;
  appsupervisor::v1::InstanceState state(const std::string& uid) const;
  template <class T>
  std::vector<T> Seen() const {
    std::vector<T> found;
    for (const Effect& effect : effects) {
      if (const T* it = std::get_if<T>(&effect)) found.push_back(*it);
    }
    return found;
  }

  CoreOptions options;
  Moment now;
  std::unique_ptr<AgentCore> core;
  std::vector<Effect> effects;                              // All, in order.
  std::vector<appsupervisor::v1::ConnectRequest> received;  // What the entry got, in order.
  std::vector<appsupervisor::v1::InstanceStatus> statuses;  // Of all Status messages, in order.
  std::map<ProcessId, Process> processes;
  std::map<ProcessId, ProcessExit> exits;  // Not acknowledged.
  int started = 0;                         // Processes that really started.
  bool driver_connected = false;
  uint64_t connection = 0;
  int64_t version = 0;  // Of assignments.
  std::string timeline = "t1";
  int64_t epoch = 1;
  // What the entry puts into Welcome beside the session's own.
  appsupervisor::v1::Welcome welcome;
  // Of the entry, if it says one: goes with assignments.
  std::optional<appsupervisor::v1::Position> position;
  JournalContents durable;

 private:
  void Drain();
  void Perform(Effect& effect);
  void Perform(const WriteJournal& write);
  void Perform(const SendMessage& send);
  void Perform(const StartProcess& start);
  void Perform(const SetFences& set);
  absl::Duration NextFence() const;
  void ActOnFences();
  void Commit(const WriteJournal& write);
  // By value: the caller's id may live in the row that this erases.
  void End(ProcessId id, int code, int signal, bool by_fence = false);

  std::vector<Event> pending_;
  std::vector<WriteJournal> uncommitted_;
  JournalContents before_last_;                              // `durable` before its last commit.
  std::map<ProcessId, std::optional<Fence>> unsent_fences_;  // Asked for while disconnected.
  int64_t last_heartbeat_ = 0;
  std::optional<absl::Duration> timer_;
  uint64_t last_connection_ = 0;
  int64_t last_pid_ = 1000;
};

// An instance that runs `command` for app "web" in environment "eu".
appsupervisor::v1::Assignment RunAssignment(const std::string& uid, int64_t generation = 1);
appsupervisor::v1::Assignment With(appsupervisor::v1::Assignment assignment,
                                   appsupervisor::v1::DesiredState desired, int64_t generation);

}  // namespace appsup::agent
