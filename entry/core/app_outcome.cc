#include "entry/core/app_outcome.h"

#include <algorithm>

#include "entry/core/app_status.h"
#include "entry/core/instance_facts.h"
#include "entry/core/operation.h"
#include "entry/core/proto_time.h"
#include "entry/core/setup.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kDefaultProgressDeadline = absl::Minutes(10);

// Its code cannot be had, and trying again would not help. Word of the newest statement only: what
// was wrong before may be mended by it.
bool LacksCode(const rec::InstanceRecord& record) {
  const auto& conditions = record.instance().conditions();
  return HasReported(record) &&
         std::any_of(conditions.begin(), conditions.end(), [](const auto& c) {
           return c.type() == "ArtifactReady" && c.reason() == "ArtifactUnusable";
         });
}

std::optional<RolloutFailure> FindInstanceFailure(const AppView& view) {
  const bool proven = view.record->good_revision() == view.record->target_revision();
  for (const SlotView& slot : view.slots) {
    if (slot.target == nullptr) continue;
    const rec::InstanceRecord& target = *slot.target;
    if (HasGivenUp(target, view.target_spec())) {
      return RolloutFailure{"INSTANCE_FAILED", DescribeTrouble(target)};
    }
    if (!IsServing(target) && LacksCode(target)) {
      return RolloutFailure{"ARTIFACT_UNUSABLE", DescribeTrouble(target)};
    }
    if (!proven && !IsServing(target) && IsCrashLooping(target, view.target_spec())) {
      return RolloutFailure{"CRASH_LOOP", DescribeTrouble(target)};
    }
  }
  return std::nullopt;
}

}  // namespace

absl::Duration PatienceOf(const AppView& view) {
  const api::Update& update = view.spec().update();
  if (!update.has_progress_deadline()) return kDefaultProgressDeadline;
  const absl::Duration set = FromProtoDuration(update.progress_deadline());
  return set > absl::ZeroDuration() ? set : kDefaultProgressDeadline;
}

bool SetupRuns(const AppView& view) {
  return std::any_of(view.setups.begin(), view.setups.end(), [](const rec::InstanceRecord* record) {
    return record->instance().reachable() &&
           record->instance().state() < api::INSTANCE_STATE_EXITED;
  });
}

bool CanRollBack(const Catalog& catalog, const AppView& view) {
  const rec::AppRecord& app = *view.record;
  const api::Update& update = view.spec().update();
  return view.runs && app.good_revision() != 0 && app.good_revision() != app.target_revision() &&
         (!update.has_auto_rollback() || update.auto_rollback()) &&
         FindRevision(catalog, view.name(), app.good_revision()) != nullptr;
}

bool IsAwaited(const Catalog& catalog, const AppView& view) {
  return OpenOperation(catalog, view.name()) != nullptr || CanRollBack(catalog, view);
}

std::optional<RolloutFailure> FindFailure(const AppView& view, const api::AppStatus& status,
                                          bool late) {
  if (view.runs && !view.slots.empty() && !IsSetUp(view)) {
    const api::SetupState setup = TargetSetup(view).state();
    const api::Condition* condition = FindCondition(status, "SetUp");
    const std::string message = condition == nullptr ? "" : condition->message();
    if (setup == api::SETUP_STATE_FAILED) return RolloutFailure{"SETUP_FAILED", message};
    if (setup == api::SETUP_STATE_OUTCOME_UNKNOWN && !MayTrySetup(view) && !late) {
      return RolloutFailure{"SETUP_OUTCOME_UNKNOWN", message, false};
    }
  }
  if (view.runs) {
    if (std::optional<RolloutFailure> failure = FindInstanceFailure(view)) return failure;
  }
  if (!late) return std::nullopt;
  const api::Condition* blocking = BlockingCondition(status);
  return RolloutFailure{
      "PROGRESS_DEADLINE",
      fmt::format("There was no progress for {} s{}", absl::ToInt64Seconds(PatienceOf(view)),
                  blocking == nullptr ? "" : "; " + blocking->message()),
      true};
}

}  // namespace appsup::entry
