#include "entry/core/disconnect.h"

#include "entry/core/app_view.h"
#include "entry/core/instance_facts.h"
#include "entry/core/proto_time.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kDefaultLostAfter = absl::Minutes(5);

}  // namespace

DisconnectRule RuleOf(const api::AppSpec& spec, const api::AppSpec& target) {
  const api::Disconnect& disconnect = spec.disconnect();
  DisconnectRule rule;
  rule.fenced = disconnect.at_lease_end() == api::AT_LEASE_END_STOP;
  rule.replace = disconnect.replace();
  rule.lost_after =
      disconnect.has_lost_after() ? FromProtoDuration(disconnect.lost_after()) : kDefaultLostAfter;
  if (rule.replace == api::REPLACE_UNSPECIFIED) {
    const bool spare = ReplicasOf(spec) > 1 && !KeepsNodeData(target);
    rule.replace = spare ? api::REPLACE_AFTER : api::REPLACE_NEVER;
  }
  return rule;
}

bool IsSetupFenced(const api::AppSpec& target) { return target.setup().retry_safe(); }

absl::Duration FenceMargin(const CoreOptions& options) {
  return 2 * options.clock_drift * options.lease + options.kill_margin;
}

bool IsFenceProven(const rec::InstanceRecord& record) {
  if (!record.fenced()) return false;
  if (record.unfenced_generation() == 0) return true;
  return record.applied_generation() > record.unfenced_generation() && record.instance().fenced();
}

bool HoldsItsSlot(const rec::InstanceRecord& record) {
  return !HasEnded(record) && !record.instance().reachable() &&
         record.loss() == rec::LOSS_UNSPECIFIED;
}

bool HasLeftItsSlot(const rec::InstanceRecord& record) {
  return HasEnded(record) || record.loss() == rec::LOSS_REPLACED;
}

}  // namespace appsup::entry
