#pragma once

#include "absl/time/time.h"
#include "appsupervisor/store/v1/record.pb.h"
#include "appsupervisor/v1/app.pb.h"
#include "entry/core/options.h"

// What an app's spec says about the loss of a node, with its defaults. Pure.
namespace appsup::entry {

struct DisconnectRule {
  // Its instances run only under their node's lease.
  bool fenced = false;
  // Never UNSPECIFIED.
  appsupervisor::v1::Replace replace = appsupervisor::v1::REPLACE_NEVER;
  // With AFTER.
  absl::Duration lost_after;
};

// `spec` is the app's; `target` holds the fields of its revision.
DisconnectRule RuleOf(const appsupervisor::v1::AppSpec& spec,
                      const appsupervisor::v1::AppSpec& target);

// A setup attempt runs under its node's lease where it may be repeated by itself: only then is it
// known, when the node is lost, that the attempt before has ended.
bool IsSetupFenced(const appsupervisor::v1::AppSpec& target);

// How long after the end of a node's lease, by this machine's clock, the last fenced process on it
// has ended: both clocks may drift, and a killed process takes a moment to go.
absl::Duration FenceMargin(const CoreOptions& options);

// Every process that its agent may run of it is under the node's lease.
bool IsFenceProven(const appsupervisor::store::v1::InstanceRecord& record);

// Its node does not answer, it may run there, and its slot is not given away: nothing else may run
// in the slot.
bool HoldsItsSlot(const appsupervisor::store::v1::InstanceRecord& record);

// Nothing of it runs any more, as far as that matters for its slot: it has ended, or its node is
// lost and the slot is given away.
bool HasLeftItsSlot(const appsupervisor::store::v1::InstanceRecord& record);

}  // namespace appsup::entry
