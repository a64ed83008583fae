// What a lease means to an instance that runs only under one.
#include "absl/strings/str_cat.h"
#include "agent/core/fence.h"
#include "agent/core/instance.h"
#include "agent/core/start_request.h"

namespace appsup::agent {

namespace api = appsupervisor::v1;

bool Instance::HasProcess() const {
  return phase_ == Phase::kSpawning || phase_ == Phase::kRunning || phase_ == Phase::kStopping;
}

void Instance::OnLease(Turn& turn) {
  if (HasProcess() && assignment().fenced()) {
    AskFence(turn);
  } else if (HasProcess()) {
    if (assignment().desired() == api::DESIRED_STATE_RUN) LiftFence(turn);
  } else if (phase_ == Phase::kWaiting && waits_for_lease_) {
    Prepare(turn);
  }
}

void Instance::OnFenceSet(const ProcessId& id, Turn& turn) {
  // What was asked before the start may have come before it, too.
  const bool runs = phase_ == Phase::kRunning || phase_ == Phase::kStopping;
  if (!runs || id != IdOf(record_) || !fence_.asked || fence_.held) return;
  fence_.held = true;
  turn.report = true;
}

// What the journal says against a fence may be older than the fence. A lease is the entry's word
// that it has not counted on it.
bool Instance::HasLease(const Turn& turn) { return turn.node.lease_end > turn.now.boot; }

// The driver says that the process runs, and whether it holds a fence for it.
void Instance::AlignFence(bool held, Turn& turn) {
  if (!HasProcess()) return;
  if (held != fence_.held) turn.report = true;
  fence_.held = held;
  fence_.asked = held ? fence_.started : std::nullopt;
  if (assignment().fenced()) {
    AskFence(turn);
  } else if (held && assignment().desired() == api::DESIRED_STATE_RUN && HasLease(turn)) {
    LiftFence(turn);
  }
}

void Instance::AskFence(Turn& turn) {
  const std::optional<Fence> fence = FenceNow(turn.node, spec(), turn.now);
  if (!fence || fence == fence_.asked) return;
  fence_.asked = fence;
  turn.fences.push_back({IdOf(record_), fence});
}

void Instance::LiftFence(Turn& turn) {
  fence_.asked.reset();
  fence_.held = false;
  turn.fences.push_back({IdOf(record_), std::nullopt});
}

// As it was meant to: no failure, and no restart that anybody counts.
void Instance::EndedByFence(Turn& turn) {
  unasked_ = false;
  record_.set_ended_by_fence(true);
  if (assignment().setup()) SetupUnknown("its fence ended it, because the lease was over", turn);
}

// A Start that came so late that its fence was over.
bool Instance::FencePast(const absl::Status& refusal, const Turn& turn) const {
  return absl::IsFailedPrecondition(refusal) && fence_.started &&
         turn.now.boot >= fence_.started->deadline - fence_.started->stop_before;
}

}  // namespace appsup::agent
