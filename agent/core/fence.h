#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "agent/core/process.h"
#include "agent/core/turn.h"
#include "appsupervisor/v1/app.pb.h"
#include "common/clock.h"

// Fenced instances run only under a lease: their driver holds a deadline for each process, which
// every grant moves. Pure.
namespace appsup::agent {

// Why a node refuses what is fenced.
inline constexpr char kCannotFence[] =
    "this node cannot run fenced instances: its keeper does not enforce deadlines";

// Whether the driver can stop a process at a deadline without the agent's help.
bool CanFence(const DriverDescription& driver);

// The fence of a process of this app under the node's newest lease: the deadline is its end, and
// the stop begins the grace period before it, at most 30 % of the lease. Nothing if that moment is
// past, or no lease was granted.
std::optional<Fence> FenceNow(const NodeContext& node, const appsupervisor::v1::AppSpec& spec,
                              const Moment& now);

// OK if a fenced process of this app may start now, else what it waits for: a sentence.
absl::Status MayStartFenced(const NodeContext& node, const appsupervisor::v1::AppSpec& spec,
                            const Moment& now);

}  // namespace appsup::agent
