#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "agent/keeper/policy.h"

namespace appsup::keeper {

// How long a process tree may go on without a word from the agent. Nanoseconds of CLOCK_BOOTTIME.
struct Fence {
  int64_t deadline = 0;  // The tree is killed then. 0: there is no fence.
  int64_t stop_before = 0;

  bool set() const { return deadline != 0; }
  // When its stop begins.
  int64_t stop_at() const { return deadline - stop_before; }
};

Fence FromMessage(const pb::Fence& message);
pb::Fence ToMessage(const Fence& fence);

// INVALID_ARGUMENT says which figure makes no sense.
absl::Status CheckFence(const pb::Fence& message);

// A deadline moves forward or not at all: false if `wanted` changes nothing.
bool Extend(const Fence& wanted, Fence& fence);

}  // namespace appsup::keeper
