#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/core/adoption.h"
#include "agent/core/event.h"
#include "agent/core/turn.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "appsupervisor/v1/link.pb.h"

namespace appsup::agent {

// One instance: drives what is towards what is desired. Owned by AgentCore, core thread only.
// Events say what happened; each call fills a Turn. What must survive a crash is in the record,
// which is durable before the turn's effects are performed.
//
//   unadopted ─Adopt─▶ new ─▶ fetching ─▶ checking ─▶ spawning ─▶ running ─▶ stopping
//                       ▲         │          │           │           │          │
//                       │         └──────────┴── waiting ◀───────────┘          │
//                       └───────────────(restart)────────────────────────────── ┤
//                        resting (EXITED, FAILED) ◀─────────────────────────────┤
//                        removing ─▶ removed ◀──────────────────────────────────┘
class Instance {
 public:
  // Made by an assignment: Assign comes next. Nothing is done before Adopt.
  Instance() = default;
  // From the journal.
  explicit Instance(appsupervisor::agent::v1::InstanceRecord record);

  // A newer statement that passed CheckAssignment.
  void Assign(const appsupervisor::v1::Assignment& assignment, Turn& turn);

  // The driver is up and holds this. Also after a reconnect.
  void Adopt(const Finding& finding, Turn& turn);

  void OnArtifact(const ArtifactPrepared& event, Turn& turn);
  void OnPorts(const PortsChecked& event, Turn& turn);
  void OnStarted(const ProcessStarted& event, Turn& turn);
  void OnExited(const ProcessExited& event, Turn& turn);
  void OnFoldersRemoved(const FoldersRemoved& event, Turn& turn);
  void OnReadiness(const ReadinessChanged& event, Turn& turn);
  void OnLogTail(const LogTailRead& event, Turn& turn);
  void OnUsage(const ProcessUsage& usage, Turn& turn);
  // A lease was granted. Only where HeedsLease.
  void OnLease(Turn& turn);
  void OnFenceSet(const ProcessId& id, Turn& turn);
  // The entry knows of attempts up to this one, whatever the journal knows.
  void GoOnAfter(int64_t attempt, Turn& turn);
  // Another instance released something that this one may wait for.
  void OnReleased(Turn& turn);
  // `deadline` has come.
  void OnDeadline(Turn& turn);

  // When OnDeadline is due; infinite: never.
  absl::Duration deadline() const { return deadline_; }
  bool WaitsForToken(uint64_t token) const { return token != 0 && token == token_; }
  uint64_t token() const { return token_; }
  bool HeedsLease() const { return assignment().fenced() || fence_.held || waits_for_lease_; }
  bool waits_for_release() const { return waits_for_release_; }
  // The last lines are being read: its status is told with them, not before.
  bool waits_for_log_tail() const { return waits_for_log_tail_; }

  const appsupervisor::agent::v1::InstanceRecord& record() const { return record_; }
  const std::string& uid() const { return record_.assignment().uid(); }

  // UNSPECIFIED if it ran and was not adopted yet.
  appsupervisor::v1::InstanceState state() const;
  // All but `sequence`.
  appsupervisor::v1::InstanceStatus Status(const NodeContext& node) const;

 private:
  using Record = appsupervisor::agent::v1::InstanceRecord;
  enum class Phase {
    kUnadopted,
    kNew,
    kFetching,
    kChecking,
    kWaiting,
    kSpawning,
    kRunning,
    kStopping,
    kResting,
    kRemoving,
    kRemoved,
  };

  // What is known of the fence of its process, which the driver holds.
  struct FenceState {
    std::optional<Fence> started;  // Went with the newest Start.
    std::optional<Fence> asked;    // The newest that was asked for.
    bool held = false;             // The driver confirmed one.
  };

  // instance.cc: what to do next.
  void TakeOver(int64_t attempt);
  void GoOnAfterLoss(Turn& turn);
  void Reconcile(Turn& turn);
  void ReconcileRun(Turn& turn);
  void Stop(Turn& turn);
  void Remove(Turn& turn);
  void DropOpenAttempt(Turn& turn);
  void Settle(Turn& turn, appsupervisor::v1::InstanceState state, std::string message,
              bool by_request);
  void Enter(Phase phase, Turn& turn, std::string message = "");
  bool Outdated() const;
  bool MayRunAgain() const;

  // instance_prepare.cc: everything before a process.
  void Prepare(Turn& turn);
  void Claim(Turn& turn);
  absl::Status ClaimSlot(Turn& turn);
  absl::Status ClaimAll(Turn& turn, std::vector<PortToCheck>* check);
  void Spawn(Turn& turn);
  void SendStart(Turn& turn);
  void CancelPreparation(Turn& turn);
  void RetryPreparation(Turn& turn, const std::string& problem);
  void RetryLater(Turn& turn, const std::string& problem);
  void GiveUpSetup(Turn& turn, const std::string& problem);
  void Wait(Turn& turn, absl::Duration delay, std::string message);

  // instance_process.cc: from a process's start to its end.
  void Running(const Started& started, Turn& turn);
  void Ended(const ProcessExit& exit, absl::Duration uptime, Turn& turn);
  void SetupEnded(Turn& turn);
  void SetupUnknown(const std::string& why, Turn& turn);
  void NotStarted(const absl::Status& status, Turn& turn);
  void Crashed(bool success, absl::Duration uptime, const std::string& sentence, Turn& turn);
  void Lost(const Finding& finding, Turn& turn);
  void StartCheckIfAny(Turn& turn);
  void StopCheckIfAny(Turn& turn);
  bool HasCheck() const;

  // instance_fence.cc.
  bool HasProcess() const;
  static bool HasLease(const Turn& turn);
  void AlignFence(bool held, Turn& turn);
  void AskFence(Turn& turn);
  void LiftFence(Turn& turn);
  void EndedByFence(Turn& turn);
  bool FencePast(const absl::Status& refusal, const Turn& turn) const;

  // instance_report.cc.
  void AddConditions(const NodeContext& node, appsupervisor::v1::InstanceStatus* status) const;

  const appsupervisor::v1::Assignment& assignment() const { return record_.assignment(); }
  const appsupervisor::v1::AppSpec& spec() const { return record_.assignment().spec(); }

  Record record_;
  Phase phase_ = Phase::kUnadopted;
  std::string wanted_digest_;    // Of the spec that should run.
  std::string prepared_digest_;  // Of the spec that is being made ready.
  std::string message_;          // On the present phase: a sentence.
  absl::Duration deadline_ = absl::InfiniteDuration();
  absl::Time next_attempt_ = absl::InfiniteFuture();
  absl::Time start_failure_ = absl::InfinitePast();  // Since its newest process, if any.
  uint64_t token_ = 0;                               // Of the job that is waited for; 0: none.
  int preparation_failures_ = 0;                     // In a row.
  absl::Duration failing_since_;                     // The first of these failures.
  bool waits_for_release_ = false;  // While waiting: another instance holds what it needs.
  bool waits_for_driver_ = false;
  bool waits_for_lease_ = false;
  FenceState fence_;
  bool waits_for_log_tail_ = false;
  bool unasked_ = false;    // The next start is a restart that nobody asked for.
  bool timed_out_ = false;  // Setup: it was stopped because its time was over.
  bool ready_ = false;
  std::set<int32_t> fresh_ports_;  // Picked in this preparation.
  std::set<int32_t> avoid_ports_;  // Found in use in this preparation.
  std::string artifact_for_;       // What record_.artifact_folder was made from; empty: unknown.
  std::string artifact_problem_;   // Why there is none.
  bool artifact_lasting_ = false;  // That would be the same at each try.
  appsupervisor::v1::Usage usage_;
  absl::Duration usage_reported_ = -absl::InfiniteDuration();
};

// Digest of what decides what runs.
std::string SpecDigest(const appsupervisor::v1::Assignment& assignment);

}  // namespace appsup::agent
