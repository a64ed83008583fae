#pragma once

#include "absl/status/status.h"
#include "agent/core/turn.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "appsupervisor/v1/link.pb.h"

namespace appsup::agent {

// What the entry knows of earlier attempts and reports can be true.
bool IsPlausible(const appsupervisor::v1::Assignment& assignment);

// Whether this node can carry the statement out; else a sentence for AssignmentRefused. The entry
// has checked specs before: this is for entries of other versions, and for what only the node
// knows. `held`: what the journal has of the instance, null if nothing.
absl::Status CheckAssignment(const NodeContext& node,
                             const appsupervisor::v1::Assignment& assignment,
                             const appsupervisor::agent::v1::InstanceRecord* held);

}  // namespace appsup::agent
