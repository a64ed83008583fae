// Everything that an instance needs before it has a process: code, ports, folders for itself.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/fence.h"
#include "agent/core/instance.h"
#include "agent/core/restart_policy.h"
#include "agent/core/sentence.h"
#include "agent/core/start_request.h"
#include "common/backoff.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr int kMaxFreshPorts = 50;  // Picks in one preparation before it is left for later.

bool HasArtifact(const api::AppSpec& spec) {
  return spec.artifact().source_case() != api::Artifact::SOURCE_NOT_SET;
}

std::string ArtifactKey(const api::AppSpec& spec) {
  return absl::StrCat(spec.artifact().SerializeAsString(), "|", spec.install().SerializeAsString());
}

// How people know an instance: "shop/web-0" rather than its uid.
std::string ShortName(const api::Assignment& assignment) {
  const std::string& name = assignment.name();
  const size_t slash = name.rfind('/');
  return absl::StrCat("instance ", slash == std::string::npos ? name : name.substr(slash + 1));
}

}  // namespace

void Instance::Prepare(Turn& turn) {
  CancelPreparation(turn);
  if (prepared_digest_ != wanted_digest_) {
    turn.node.claims.Release(uid());
    preparation_failures_ = 0;
    artifact_problem_.clear();
    fresh_ports_.clear();
  }
  avoid_ports_.clear();
  prepared_digest_ = wanted_digest_;
  if (!HasArtifact(spec())) {
    record_.clear_artifact_folder();
    artifact_for_.clear();
  } else if (artifact_for_ != ArtifactKey(spec())) {
    Enter(Phase::kFetching, turn, "artifact is being made ready");
    token_ = turn.NextToken();
    turn.effects.push_back(PrepareArtifact{token_, spec().artifact(), spec().install()});
    return;
  }
  Claim(turn);
}

void Instance::OnArtifact(const ArtifactPrepared& event, Turn& turn) {
  if (phase_ != Phase::kFetching || event.token != token_) return;
  if (!event.status.ok()) {
    artifact_problem_ = std::string(event.status.message());
    artifact_lasting_ = event.lasting;
    if (event.lasting) {
      RetryLater(turn, artifact_problem_);
    } else {
      RetryPreparation(turn, artifact_problem_);
    }
    return;
  }
  artifact_problem_.clear();
  artifact_for_ = ArtifactKey(spec());
  record_.set_artifact_folder(event.folder);
  record_.set_artifact_sha256(event.sha256);
  turn.persist = true;
  Claim(turn);
}

void Instance::Claim(Turn& turn) {
  std::vector<PortToCheck> ports;
  const absl::Status status = ClaimAll(turn, &ports);
  if (!status.ok()) {
    turn.node.claims.Undo(uid());
    RetryPreparation(turn, std::string(status.message()));
    waits_for_release_ = true;
  } else if (ports.empty()) {
    Spawn(turn);
  } else {
    Enter(Phase::kChecking, turn, "ports are being checked");
    token_ = turn.NextToken();
    turn.effects.push_back(CheckPorts{token_, std::move(ports)});
  }
}

absl::Status Instance::ClaimAll(Turn& turn, std::vector<PortToCheck>* check) {
  Claims& claims = turn.node.claims;
  const std::string name = ShortName(assignment());
  const std::string data = DataFolder(turn.node.options, assignment());
  if (absl::Status status = ClaimSlot(turn); !status.ok()) return status;
  if (!data.empty() && !assignment().setup()) {
    if (absl::Status status = claims.ClaimFolder(data, uid(), name); !status.ok()) return status;
  }
  if (assignment().setup()) return absl::OkStatus();  // A setup command listens on nothing.
  google::protobuf::Map<std::string, int32_t> numbers;
  for (const api::Port& port : spec().ports()) {
    int32_t number = port.number();
    if (number != 0) {
      if (absl::Status status = claims.ClaimFixed(number, uid(), name); !status.ok()) return status;
    } else {
      absl::StatusOr<Claims::Picked> picked = claims.ClaimPicked(
          SlotKey(assignment()), port.name(), uid(), name, avoid_ports_, turn.node.random.Next());
      if (!picked.ok()) return picked.status();
      number = picked->number;
      if (picked->fresh) fresh_ports_.insert(number);
    }
    numbers[port.name()] = number;
    check->push_back({number, port.protocol() == api::PORT_PROTOCOL_UDP});
  }
  record_.mutable_ports()->swap(numbers);
  turn.persist = true;
  return absl::OkStatus();
}

// Old and new of a slot may run side by side, but not if they are fenced, nor while nobody knows
// what a catalog that may be foreign thinks of the one that runs. A process of which only the app
// is known may have any of its slots, folders and ports.
absl::Status Instance::ClaimSlot(Turn& turn) {
  Claims& claims = turn.node.claims;
  const std::string slot = SlotKey(assignment());
  const bool guarded = !turn.node.guard.empty();
  const std::string& app = assignment().app_uid();
  if (turn.node.stranger_apps.contains(app) || claims.IsAppHeld(app, uid())) {
    return absl::FailedPreconditionError(
        "waits for a process of the same app that this node knows nothing else of");
  }
  if (guarded || (assignment().fenced() && !assignment().setup())) {
    if (absl::Status status = claims.CheckSlotIsFree(slot, uid()); !status.ok()) return status;
  }
  if (!assignment().setup()) claims.EnterSlot(slot, uid(), ShortName(assignment()));
  return absl::OkStatus();
}

void Instance::OnPorts(const PortsChecked& event, Turn& turn) {
  if (phase_ != Phase::kChecking || event.token != token_) return;
  bool again = false;
  for (int32_t number : event.busy) {
    const bool fresh = fresh_ports_.erase(number) > 0;
    if (!fresh || avoid_ports_.size() >= kMaxFreshPorts) {
      RetryPreparation(turn,
                       absl::StrCat("port ", number, " is in use by another program on this node"));
      return;
    }
    turn.node.claims.ReleasePort(number, uid());
    avoid_ports_.insert(number);
    again = true;
  }
  if (again) {
    Claim(turn);
  } else {
    fresh_ports_.clear();
    Spawn(turn);
  }
}

void Instance::Spawn(Turn& turn) {
  if (!turn.node.driver_up) {
    Wait(turn, absl::InfiniteDuration(),
         absl::StrCat("cannot be started now: ", turn.node.driver_message));
    waits_for_driver_ = true;
    return;
  }
  if (assignment().fenced() && !CanFence(turn.node.driver)) {
    Wait(turn, absl::InfiniteDuration(), kCannotFence);
    waits_for_driver_ = true;
    return;
  }
  absl::Status lease =
      assignment().fenced() ? MayStartFenced(turn.node, spec(), turn.now) : absl::OkStatus();
  if (!assignment().fenced() && record_.ended_by_fence() && !HasLease(turn)) {
    lease = absl::FailedPreconditionError("waits for the entry, because its fence ended it");
  }
  if (!lease.ok()) {
    Wait(turn, absl::InfiniteDuration(), std::string(lease.message()));
    waits_for_lease_ = true;
    return;
  }
  preparation_failures_ = 0;
  timed_out_ = false;
  waits_for_log_tail_ = false;
  auto* open = record_.mutable_open();
  // An attempt that the driver never confirmed is not counted twice: Start may be repeated.
  if (open->boot_id().empty()) {
    record_.set_attempt(std::max(record_.attempt(), assignment().known_attempt()) + 1);
    if (unasked_) record_.set_restarts(record_.restarts() + 1);
  }
  unasked_ = false;
  record_.clear_ended_by_fence();
  record_.clear_rest();
  open->set_boot_id(turn.node.options.boot_id);
  open->set_spec_digest(wanted_digest_);
  open->set_restart_nonce(assignment().restart_nonce());
  turn.persist = true;
  SendStart(turn);
}

void Instance::SendStart(Turn& turn) {
  Enter(Phase::kSpawning, turn, "process is being started");
  StartRequest request = MakeStartRequest(turn.node.options, turn.node.node, record_);
  if (assignment().fenced()) request.fence = FenceNow(turn.node, spec(), turn.now);
  fence_ = {request.fence, request.fence, request.fence.has_value()};
  turn.effects.push_back(StartProcess{std::move(request)});
}

void Instance::CancelPreparation(Turn& turn) {
  if (phase_ == Phase::kFetching && token_ != 0) turn.effects.push_back(CancelArtifact{token_});
  if (phase_ == Phase::kFetching || phase_ == Phase::kChecking) token_ = 0;
}

void Instance::RetryPreparation(Turn& turn, const std::string& problem) {
  if (preparation_failures_ == 0) failing_since_ = turn.now.boot;
  // Somebody waits for a setup, and only its own time limits that.
  if (assignment().setup() && turn.now.boot - failing_since_ >= SetupTimeout(spec())) {
    return GiveUpSetup(turn, problem);
  }
  const RestartRules rules = RulesOf(spec().restart());
  BackoffOptions options{rules.initial_backoff, std::max(rules.initial_backoff, rules.max_backoff),
                         2, 0.2};
  const absl::Duration delay =
      Backoff(options).Next(static_cast<uint32_t>(preparation_failures_), turn.node.random.Next());
  preparation_failures_ = std::min(preparation_failures_ + 1, 1'000'000);
  Wait(turn, delay, absl::StrCat(problem, "; next try at ", ClockTime(turn.now.wall + delay)));
}

// Trying soon would be of no use: as rarely as in a crash loop. A setup ends with it.
void Instance::RetryLater(Turn& turn, const std::string& problem) {
  if (assignment().setup()) return GiveUpSetup(turn, problem);
  start_failure_ = turn.now.wall;
  const absl::Duration retry = RulesOf(spec().restart()).loop_retry;
  const absl::Duration delay = Backoff({retry, retry, 1, 0.2}).Next(0, turn.node.random.Next());
  Wait(turn, delay, absl::StrCat(problem, "; next try at ", ClockTime(turn.now.wall + delay)));
}

void Instance::GiveUpSetup(Turn& turn, const std::string& problem) {
  start_failure_ = turn.now.wall;
  Settle(turn, api::INSTANCE_STATE_FAILED, absl::StrCat("setup could not be started: ", problem),
         false);
}

void Instance::Wait(Turn& turn, absl::Duration delay, std::string message) {
  Enter(Phase::kWaiting, turn, std::move(message));
  if (delay == absl::InfiniteDuration()) return;
  deadline_ = turn.now.boot + delay;
  next_attempt_ = turn.now.wall + delay;
}

}  // namespace appsup::agent
