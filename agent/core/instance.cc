#include "agent/core/instance.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/sentence.h"
#include "agent/core/start_request.h"
#include "common/digest.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace appsup::agent {

namespace api = appsupervisor::v1;

std::string SpecDigest(const api::Assignment& assignment) {
  std::string bytes;
  // The entry pins the digest that the first fetch found: that changes nothing of what runs.
  api::AppSpec spec = assignment.spec();
  if (spec.has_artifact()) spec.mutable_artifact()->clear_sha256();
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    spec.SerializeToCodedStream(&coded);
  }
  bytes += assignment.setup() ? "setup" : "run";
  return Sha256Hex(bytes);
}

Instance::Instance(Record record) : record_(std::move(record)) {
  wanted_digest_ = SpecDigest(record_.assignment());
  prepared_digest_ = wanted_digest_;
}

void Instance::Enter(Phase phase, Turn& turn, std::string message) {
  phase_ = phase;
  message_ = std::move(message);
  deadline_ = absl::InfiniteDuration();
  next_attempt_ = absl::InfiniteFuture();
  token_ = 0;
  waits_for_release_ = false;
  waits_for_driver_ = false;
  waits_for_lease_ = false;
  if (phase != Phase::kRunning) ready_ = false;
  turn.report = true;
}

void Instance::Assign(const api::Assignment& newer, Turn& turn) {
  const bool was_fenced = assignment().fenced();
  const bool same_nonce = newer.restart_nonce() == assignment().restart_nonce();
  const bool had_spec = assignment().has_spec();
  api::AppSpec old_spec = spec();
  *record_.mutable_assignment() = newer;
  // STOP and REMOVE may come without a spec; how to stop and where the data is stays known.
  if (!newer.has_spec() && had_spec) {
    *record_.mutable_assignment()->mutable_spec() = std::move(old_spec);
  }
  const std::string old_digest = std::exchange(wanted_digest_, SpecDigest(assignment()));
  if (wanted_digest_ != old_digest) record_.clear_restart();  // Its failures were the old spec's.
  turn.persist = turn.report = true;
  if (phase_ == Phase::kWaiting && !same_nonce) {
    // Somebody asked for a restart: no further waiting, and the count of failures begins anew.
    record_.clear_restart();
    unasked_ = false;
    preparation_failures_ = 0;
    artifact_problem_.clear();
    phase_ = Phase::kNew;
  }
  if (assignment().fenced() && !was_fenced && HasProcess()) AskFence(turn);
  if (!assignment().fenced()) record_.clear_ended_by_fence();
  if (!assignment().fenced() && waits_for_lease_) phase_ = Phase::kNew;
  // One that is to end keeps its fence to the last.
  const bool runs_on = assignment().desired() == api::DESIRED_STATE_RUN;
  if (!assignment().fenced() && was_fenced && HasProcess() && runs_on) LiftFence(turn);
  Reconcile(turn);
}

// Made anew, after the journal was lost: it had attempts, and nothing of them is left here.
void Instance::GoOnAfterLoss(Turn& turn) {
  const int64_t known = assignment().known_attempt();
  if (record_.attempt() >= known) return;
  record_.set_attempt(known);
  turn.persist = true;
  if (assignment().setup() && assignment().desired() == api::DESIRED_STATE_RUN) {
    SetupUnknown("this node has lost what it knew of it", turn);
  }
}

// The journal knows nothing of this attempt, which ran, or runs, what is wanted.
void Instance::TakeOver(int64_t attempt) {
  record_.set_attempt(attempt);
  record_.clear_rest();
  record_.clear_open();
  record_.mutable_open()->set_spec_digest(wanted_digest_);
  record_.mutable_open()->set_restart_nonce(assignment().restart_nonce());
  if (record_.ports().empty()) {
    for (const api::Port& port : spec().ports()) {
      if (port.number() != 0) (*record_.mutable_ports())[port.name()] = port.number();
    }
  }
}

void Instance::GoOnAfter(int64_t attempt, Turn& turn) {
  if (attempt <= std::max(record_.attempt(), assignment().known_attempt())) return;
  record_.mutable_assignment()->set_known_attempt(attempt);
  if (!record_.has_open()) record_.set_attempt(attempt);
  turn.persist = turn.report = true;
}

void Instance::Adopt(const Finding& finding, Turn& turn) {
  for (const ProcessId& id : finding.stale_running) turn.effects.push_back(KillProcess{id});
  for (const ProcessId& id : finding.stale_exits) turn.effects.push_back(AckExit{id});
  const bool first = phase_ == Phase::kUnadopted;
  switch (finding.fate) {
    case Fate::kNone:
      if (first) {
        unasked_ = record_.attempt() > 0 && !record_.has_rest() && !record_.ended_by_fence();
        phase_ = record_.removed() ? Phase::kRemoved
                                   : (record_.has_rest() ? Phase::kResting : Phase::kNew);
        message_ = record_.rest().message();
        turn.report = true;
        GoOnAfterLoss(turn);
      } else if (waits_for_driver_) {
        phase_ = Phase::kNew;
      } else if (phase_ == Phase::kRemoving) {
        Remove(turn);
      }
      break;
    case Fate::kNewer:
      TakeOver(finding.process.id.attempt);
      Running(finding.process.started, turn);
      AlignFence(finding.process.fenced, turn);
      break;
    case Fate::kRunning:
      if (phase_ == Phase::kUnadopted || phase_ == Phase::kSpawning) {
        Running(finding.process.started, turn);
      } else if (phase_ == Phase::kStopping) {
        Stop(turn);
      }
      AlignFence(finding.process.fenced, turn);
      break;
    case Fate::kExited: {
      const bool newer = finding.exited.id.attempt > record_.attempt();
      const absl::Duration started = absl::Microseconds(record_.open().start_boot_micros());
      if (newer) TakeOver(finding.exited.id.attempt);
      turn.effects.push_back(AckExit{finding.exited.id});
      Ended(finding.exited.exit, newer ? absl::ZeroDuration() : turn.now.boot - started, turn);
      break;
    }
    case Fate::kNotStarted:
      if (phase_ == Phase::kSpawning) break;  // The driver repeats Start by itself.
      if (assignment().setup()) {
        Lost(finding, turn);
      } else {
        phase_ = Phase::kNew;  // On the same attempt: see Spawn.
      }
      break;
    case Fate::kRebooted:
    case Fate::kLost:
      Lost(finding, turn);
      break;
  }
  Reconcile(turn);
}

void Instance::Reconcile(Turn& turn) {
  switch (phase_) {
    case Phase::kUnadopted:
    case Phase::kSpawning:  // Its answer comes soon; then there is something to stop.
    case Phase::kStopping:
    case Phase::kRemoving:
    case Phase::kRemoved:
      return;
    case Phase::kNew:
    case Phase::kFetching:
    case Phase::kChecking:
    case Phase::kWaiting:
    case Phase::kRunning:
    case Phase::kResting:
      break;
  }
  if (assignment().desired() == api::DESIRED_STATE_RUN) {
    ReconcileRun(turn);
  } else if (phase_ == Phase::kRunning) {
    Stop(turn);
  } else if (assignment().desired() == api::DESIRED_STATE_REMOVE) {
    Remove(turn);
  } else if (phase_ != Phase::kResting) {
    Settle(turn, api::INSTANCE_STATE_EXITED, "stopped as asked", true);
  } else if (!record_.rest().by_request()) {
    record_.mutable_rest()->set_by_request(true);
    turn.persist = true;
  }
}

void Instance::ReconcileRun(Turn& turn) {
  switch (phase_) {
    case Phase::kNew:
      Prepare(turn);
      break;
    case Phase::kFetching:
    case Phase::kChecking:
    case Phase::kWaiting:
      if (prepared_digest_ != wanted_digest_) Prepare(turn);
      break;
    case Phase::kRunning:
      if (Outdated() && !assignment().setup()) Stop(turn);
      break;
    case Phase::kResting:
      if (!MayRunAgain()) break;
      record_.clear_rest();
      record_.clear_restart();
      record_.clear_log_tail();
      artifact_problem_.clear();
      unasked_ = false;
      turn.persist = true;
      Prepare(turn);
      break;
    case Phase::kUnadopted:
    case Phase::kSpawning:
    case Phase::kStopping:
    case Phase::kRemoving:
    case Phase::kRemoved:
      break;
  }
}

bool Instance::Outdated() const {
  return record_.open().spec_digest() != wanted_digest_ ||
         record_.open().restart_nonce() != assignment().restart_nonce();
}

bool Instance::MayRunAgain() const {
  // A setup that was tried has an outcome, which stands for this uid.
  if (assignment().setup()) return record_.attempt() == 0 && record_.rest().by_request();
  return record_.rest().by_request() || record_.rest().spec_digest() != wanted_digest_ ||
         record_.rest().restart_nonce() != assignment().restart_nonce();
}

void Instance::Stop(Turn& turn) {
  StopCheckIfAny(turn);
  turn.effects.push_back(
      StopProcess{IdOf(record_), SignalNumber(spec().stop().signal()), GracePeriod(spec())});
  if (phase_ == Phase::kStopping) return;
  record_.mutable_open()->set_stopping(true);
  turn.persist = true;
  Enter(Phase::kStopping, turn,
        absl::StrCat("told to stop by ", SignalName(SignalNumber(spec().stop().signal())),
                     "; killed at ", ClockTime(turn.now.wall + GracePeriod(spec()))));
}

void Instance::Settle(Turn& turn, api::InstanceState state, std::string message, bool by_request) {
  CancelPreparation(turn);
  DropOpenAttempt(turn);
  turn.node.claims.Release(uid());
  auto* rest = record_.mutable_rest();
  rest->set_state(state);
  rest->set_message(message);
  rest->set_by_request(by_request);
  rest->set_spec_digest(wanted_digest_);
  rest->set_restart_nonce(assignment().restart_nonce());
  turn.persist = true;
  Enter(Phase::kResting, turn, std::move(message));
}

// An attempt that the driver never confirmed and that is not wanted any more: should its Start
// still be on the way, it must not live.
void Instance::DropOpenAttempt(Turn& turn) {
  if (!record_.has_open()) return;
  turn.effects.push_back(KillProcess{IdOf(record_)});
  record_.clear_open();
  turn.persist = true;
}

void Instance::Remove(Turn& turn) {
  CancelPreparation(turn);
  DropOpenAttempt(turn);
  turn.node.claims.Release(uid());
  std::vector<std::string> paths = {InstanceFolder(turn.node.options, uid())};
  const std::string data = DataFolder(turn.node.options, assignment());
  if (assignment().purge_data() && !data.empty()) paths.push_back(data);
  const uint64_t token = turn.NextToken();
  if (phase_ != Phase::kRemoving) Enter(Phase::kRemoving, turn, "folders are being removed");
  token_ = token;
  deadline_ = absl::InfiniteDuration();
  turn.effects.push_back(RemoveFolders{token, std::move(paths)});
}

void Instance::OnFoldersRemoved(const FoldersRemoved& event, Turn& turn) {
  if (phase_ != Phase::kRemoving || event.token != token_) return;
  if (!event.status.ok()) {
    ++preparation_failures_;
    message_ = absl::StrCat("cannot remove its folders: ", std::string(event.status.message()));
    deadline_ = turn.now.boot + std::min(absl::Minutes(1), absl::Seconds(preparation_failures_));
    token_ = 0;
    turn.report = true;
    return;
  }
  if (assignment().purge_data()) turn.node.claims.ForgetSlot(SlotKey(assignment()));
  record_.set_removed(true);
  turn.persist = true;
  Enter(Phase::kRemoved, turn, "removed");
}

void Instance::OnDeadline(Turn& turn) {
  deadline_ = absl::InfiniteDuration();
  if (phase_ == Phase::kWaiting) {
    Prepare(turn);
  } else if (phase_ == Phase::kRemoving) {
    Remove(turn);
  } else if (phase_ == Phase::kRunning && assignment().setup()) {
    timed_out_ = true;
    Stop(turn);
  }
}

void Instance::OnReleased(Turn& turn) {
  if (phase_ == Phase::kWaiting && waits_for_release_) Prepare(turn);
}

}  // namespace appsup::agent
