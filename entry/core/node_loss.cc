#include "entry/core/node_loss.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "entry/core/brake.h"
#include "entry/core/instance_facts.h"
#include "entry/core/statement.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

std::string Seconds(absl::Duration duration) { return absl::FormatDuration(duration); }

std::vector<std::string> InstanceNames(const Catalog& catalog, const std::string& app_name) {
  const std::set<std::string>& names = catalog.InstancesOfApp(app_name);
  return {names.begin(), names.end()};
}

class Judge {
 public:
  Judge(const Ground& ground, const std::string& app_name)
      : ground_(ground), rule_(RuleOfApp(ground.catalog, app_name)) {}

  void Look(const std::string& name) {
    const rec::InstanceRecord& record = *ground_.catalog.instances.Find(name);
    const api::Instance& instance = record.instance();
    if (!HoldsItsSlot(record)) return;
    const std::optional<absl::Duration> lost_since =
        ground_.sessions.LostSince("nodes/" + instance.node());
    if (!lost_since.has_value()) return Hold(name, "its node's lease still runs");
    const absl::Duration due = DueTime(record, *lost_since);
    if (due == absl::InfiniteDuration()) return Hold(name, WhyNever(record));
    if (due > ground_.now.boot) {
      report_.next = std::min(report_.next, due);
      return Hold(name, WhyNotYet());
    }
    const bool proven = IsFenceProven(record);
    const std::string brake = DescribeBrake(ground_.catalog, instance.environment());
    if (!brake.empty() && instance.desired() == api::DESIRED_STATE_RUN && !instance.setup()) {
      return Hold(name, brake + "; ReleaseBrake lets them go");
    }
    GiveAway(name, proven);
  }

  LossReport Take() { return std::move(report_); }

 private:
  static DisconnectRule RuleOfApp(const Catalog& catalog, const std::string& app_name) {
    const AppView view = ViewApp(catalog, app_name);
    return RuleOf(view.spec(), view.target_spec());
  }

  void Hold(const std::string& name, std::string why) { report_.held[name] = std::move(why); }

  // When its slot may be given away.
  absl::Duration DueTime(const rec::InstanceRecord& record, absl::Duration lost_since) const {
    const bool proven = IsFenceProven(record);
    const absl::Duration ended =
        proven ? lost_since + FenceMargin(ground_.options) : absl::InfiniteDuration();
    // Known to be over, and nothing of it is wanted any more.
    if (record.instance().desired() != api::DESIRED_STATE_RUN && proven) return ended;
    // Another attempt must never run beside it.
    if (record.instance().setup()) return ended;
    if (rule_.replace == api::REPLACE_AFTER_STOP) return ended;
    if (rule_.replace != api::REPLACE_AFTER) return absl::InfiniteDuration();
    const absl::Duration waited = lost_since + rule_.lost_after;
    return proven ? std::max(waited, ended) : waited;
  }

  std::string WhyNever(const rec::InstanceRecord& record) const {
    if (record.instance().setup()) return "nobody knows whether it still runs";
    if (rule_.replace == api::REPLACE_AFTER_STOP) {
      return "it had not confirmed its fence, so that nobody knows whether it still runs; "
             "DeleteNode gives it up";
    }
    return "spec.disconnect.replace is NEVER, as said or by default; DeleteNode gives it up";
  }

  std::string WhyNotYet() const {
    if (rule_.replace == api::REPLACE_AFTER_STOP) {
      return "it is replaced as soon as its fence has ended it";
    }
    return fmt::format("it is replaced when its node has been lost for {}",
                       Seconds(rule_.lost_after));
  }

  void GiveAway(const std::string& name, bool proven) {
    rec::InstanceRecord& record = ground_.catalog.instances.Mutate(name);
    record.set_loss(proven ? rec::LOSS_ENDED : rec::LOSS_REPLACED);
    api::Instance& instance = *record.mutable_instance();
    instance.set_replaced(true);
    instance.set_message(
        proven ? fmt::format("Node {} is lost, and the fence has ended this copy there: its slot "
                             "is free for another node.",
                             instance.node())
               : fmt::format("Node {} is lost; its slot is free for another node, although this "
                             "copy may still run there.",
                             instance.node()));
    report_.changed = true;
    ground_.dirty.Node("nodes/" + instance.node());  // For the brake.
    const bool remove = proven && instance.desired() == api::DESIRED_STATE_RUN && !instance.setup();
    if (remove) SetDesired(ground_, name, api::DESIRED_STATE_REMOVE);
  }

  const Ground& ground_;
  const DisconnectRule rule_;
  LossReport report_;
};

}  // namespace

LossReport JudgeLosses(const Ground& ground, const std::string& app_name) {
  Judge judge(ground, app_name);
  for (const std::string& name : InstanceNames(ground.catalog, app_name)) judge.Look(name);
  return judge.Take();
}

void UpdateFences(const Ground& ground, const std::string& app_name) {
  const AppView view = ViewApp(ground.catalog, app_name);
  const bool fenced = RuleOf(view.spec(), view.target_spec()).fenced;
  for (const std::string& name : InstanceNames(ground.catalog, app_name)) {
    const rec::InstanceRecord& record = *ground.catalog.instances.Find(name);
    // The fence of a setup is decided when it begins.
    if (record.fenced() == fenced || record.instance().setup() || IsLeaving(record)) continue;
    SetFenced(ground.catalog, name, fenced);
    Restate(ground.catalog, ground.dirty, name);
  }
}

}  // namespace appsup::entry
