#include "agent/core/fence.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "agent/core/start_request.h"

namespace appsup::agent {
namespace {

constexpr char kDeadline[] = "deadline";  // As drivers call it.
constexpr double kMostOfLease = 0.3;      // That a stop may take.

}  // namespace

bool CanFence(const DriverDescription& driver) {
  return std::find(driver.enforces.begin(), driver.enforces.end(), kDeadline) !=
         driver.enforces.end();
}

std::optional<Fence> FenceNow(const NodeContext& node, const appsupervisor::v1::AppSpec& spec,
                              const Moment& now) {
  const Fence fence{node.lease_end, std::min(GracePeriod(spec), kMostOfLease * node.lease)};
  if (fence.deadline - fence.stop_before <= now.boot) return std::nullopt;
  return fence;
}

absl::Status MayStartFenced(const NodeContext& node, const appsupervisor::v1::AppSpec& spec,
                            const Moment& now) {
  // Of a catalog that may be foreign nobody knows whether the slot runs elsewhere.
  if (!node.guard.empty()) {
    return absl::FailedPreconditionError(
        "Waits for an operator: the freshness guard is on, and a fenced instance starts only under "
        "a lease of its own catalog");
  }
  if (FenceNow(node, spec, now)) return absl::OkStatus();
  if (node.lease_end == -absl::InfiniteDuration()) {
    return absl::FailedPreconditionError(
        "Waits for a lease: the entry has granted none since the agent was started");
  }
  return absl::FailedPreconditionError(
      "Waits for a lease: the last one has ended, and a fenced instance runs only under one");
}

}  // namespace appsup::agent
