#include "entry/core/app_status.h"

#include <algorithm>

#include "entry/core/instance_facts.h"
#include "entry/core/proto_time.h"
#include "entry/core/setup.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

template <class Visit>
void ForEachInstance(const AppView& view, Visit visit) {
  for (const SlotView& slot : view.slots) {
    if (slot.target != nullptr) visit(*slot.target);
    for (const rec::InstanceRecord* record : slot.old) visit(*record);
    for (const rec::InstanceRecord* record : slot.leaving) visit(*record);
    for (const rec::InstanceRecord* record : slot.lost) visit(*record);
  }
  for (const rec::InstanceRecord* record : view.surplus) visit(*record);
  for (const rec::InstanceRecord* record : view.setups) visit(*record);
}

void CountSlot(const AppView& view, const SlotView& slot, SlotCounts& counts) {
  ++counts.slots;
  const rec::InstanceRecord* target = slot.target;
  const bool serves = (target != nullptr && IsServing(*target)) ||
                      std::any_of(slot.old.begin(), slot.old.end(),
                                  [](const rec::InstanceRecord* old) { return IsServing(*old); });
  if (serves) ++counts.ready;
  if (target == nullptr) {
    const bool old_silent = !serves && std::any_of(slot.old.begin(), slot.old.end(),
                                                   [](const rec::InstanceRecord* old) {
                                                     return !old->instance().reachable();
                                                   });
    if (old_silent) ++counts.silent;
    if (slot.old.empty()) ++counts.empty;
    return;
  }
  const api::Instance& instance = target->instance();
  const bool completed = HasCompleted(*target, view.target_spec());
  if (completed) ++counts.completed;
  if ((IsServing(*target) || completed) && slot.old.empty()) ++counts.updated;
  if (serves || completed) return;
  if (!instance.reachable()) {
    ++counts.silent;
  } else if (HasGivenUp(*target, view.target_spec())) {
    ++counts.given_up;
  } else if (instance.has_next_attempt_time()) {
    ++counts.backing_off;
  } else if (instance.restarts() > 0 ||
             (target->has_ready_time() && instance.state() == api::INSTANCE_STATE_RUNNING)) {
    ++counts.unsettled;
  }
}

api::AppState StateWhileRunning(const StatusInput& input, const SlotCounts& counts) {
  const AppView& view = input.view;
  if (counts.slots == 0) {
    if (view.environments.empty() && ReplicasOf(view.spec()) > 0) return api::APP_STATE_PENDING;
    return counts.all_ended ? api::APP_STATE_STOPPED : api::APP_STATE_STOPPING;
  }
  const api::SetupState setup = TargetSetup(view).state();
  if (!IsSetUp(view) && setup == api::SETUP_STATE_RUNNING) return api::APP_STATE_SETTING_UP;
  if (counts.silent == counts.slots) return api::APP_STATE_UNKNOWN;
  const bool updating = view.record->good_revision() != 0 &&
                        view.record->good_revision() != view.record->target_revision();
  if (counts.updated == counts.slots) {
    return counts.completed == counts.slots ? api::APP_STATE_STOPPED : api::APP_STATE_RUNNING;
  }
  const bool setup_stands = !IsSetUp(view) && (setup == api::SETUP_STATE_FAILED ||
                                               setup == api::SETUP_STATE_OUTCOME_UNKNOWN);
  const int good = counts.ready + counts.completed;
  if (good > 0) {
    if ((updating || counts.old_runs) && counts.silent == 0 && counts.given_up == 0) {
      return api::APP_STATE_UPDATING;
    }
    const bool first_start =
        counts.silent + counts.given_up + counts.backing_off + counts.unsettled == 0 &&
        input.plan.unplaced.empty();
    return first_start ? api::APP_STATE_STARTING : api::APP_STATE_DEGRADED;
  }
  if (setup_stands) return api::APP_STATE_FAILED;
  if (counts.old_runs) return api::APP_STATE_UPDATING;
  if (counts.given_up == counts.slots) return api::APP_STATE_FAILED;
  if (counts.backing_off > 0) return api::APP_STATE_BACKING_OFF;
  if (counts.empty == counts.slots) return api::APP_STATE_PENDING;
  if (counts.given_up + counts.silent + counts.unsettled > 0) return api::APP_STATE_DEGRADED;
  return api::APP_STATE_STARTING;
}

api::AppState StateOf(const StatusInput& input, const SlotCounts& counts) {
  const AppView& view = input.view;
  if (view.deleted) {
    const bool gone = view.surplus.empty() && view.setups.empty();
    return gone ? api::APP_STATE_DELETED : api::APP_STATE_DELETING;
  }
  if (!view.runs) return counts.all_ended ? api::APP_STATE_STOPPED : api::APP_STATE_STOPPING;
  return StateWhileRunning(input, counts);
}

void AddEndpoints(const AppView& view, api::AppStatus& status) {
  for (const SlotView& slot : view.slots) {
    for (const rec::InstanceRecord* record : slot.old) {
      if (IsServing(*record)) status.mutable_endpoints()->MergeFrom(record->instance().endpoints());
    }
    if (slot.target == nullptr || !IsServing(*slot.target)) continue;
    status.mutable_endpoints()->MergeFrom(slot.target->instance().endpoints());
  }
}

bool IsEarlier(const google::protobuf::Timestamp& a, const google::protobuf::Timestamp& b) {
  return FromTimestamp(a) < FromTimestamp(b);
}

void AddNextAttempt(const AppView& view, api::AppStatus& status) {
  ForEachInstance(view, [&](const rec::InstanceRecord& record) {
    const api::Instance& instance = record.instance();
    if (instance.desired() != api::DESIRED_STATE_RUN || !instance.has_next_attempt_time()) return;
    if (status.has_next_attempt_time() &&
        !IsEarlier(instance.next_attempt_time(), status.next_attempt_time())) {
      return;
    }
    *status.mutable_next_attempt_time() = instance.next_attempt_time();
  });
}

// The newest failure stays, also after recovery and when its instance is gone.
void AddLastFailure(const StatusInput& input, api::AppStatus& status) {
  if (input.former != nullptr && input.former->has_last_failure()) {
    *status.mutable_last_failure() = input.former->last_failure();
  }
  ForEachInstance(input.view, [&](const rec::InstanceRecord& record) {
    if (!record.has_failure()) return;
    if (status.has_last_failure() &&
        !IsEarlier(status.last_failure().time(), record.failure().time())) {
      return;
    }
    *status.mutable_last_failure() = record.failure();
  });
}

int CountEnded(const AppView& view, int* all) {
  int ended = 0;
  ForEachInstance(view, [&](const rec::InstanceRecord& record) {
    ++*all;
    if (HasEnded(record)) ++ended;
  });
  return ended;
}

}  // namespace

SlotCounts CountSlots(const AppView& view) {
  SlotCounts counts;
  for (const SlotView& slot : view.slots) CountSlot(view, slot, counts);
  ForEachInstance(view, [&](const rec::InstanceRecord& record) {
    if (HasEnded(record)) return;
    counts.all_ended = false;
    if (!record.instance().setup() &&
        record.instance().revision() != view.record->target_revision()) {
      counts.old_runs = true;
    }
  });
  return counts;
}

api::AppStatus ComputeStatus(const StatusInput& input) {
  const AppView& view = input.view;
  const SlotCounts counts = CountSlots(view);
  api::AppStatus status;
  status.set_state(StateOf(input, counts));
  status.set_observed_generation(view.record->app().generation());
  status.set_current_revision(view.record->good_revision());
  status.set_target_revision(view.record->target_revision());
  status.set_replicas(counts.slots);
  status.set_ready_replicas(counts.ready);
  AddEndpoints(view, status);
  AddNextAttempt(view, status);
  AddLastFailure(input, status);
  AddConditions(input, status);
  return status;
}

const api::Condition* FindCondition(const api::AppStatus& status, const std::string& type) {
  for (const api::Condition& condition : status.conditions()) {
    if (condition.type() == type) return &condition;
  }
  return nullptr;
}

const api::Condition* BlockingCondition(const api::AppStatus& status) {
  for (const char* type : {"Placed", "SetUp", "ArtifactReady", "Reachable", "Ready", "UpToDate"}) {
    const api::Condition* condition = FindCondition(status, type);
    if (condition != nullptr && condition->status() != api::CONDITION_STATUS_TRUE) return condition;
  }
  return nullptr;
}

bool IsDone(const AppView& view, const RolloutPlan& plan) {
  if (view.deleted) return view.surplus.empty() && view.setups.empty();
  auto ended = [](const rec::InstanceRecord* record) { return HasEnded(*record); };
  // What a silent node still holds goes when it answers again.
  auto ended_or_silent = [](const rec::InstanceRecord* record) {
    return HasEnded(*record) || !record->instance().reachable();
  };
  if (!view.runs) {
    int all = 0;
    return CountEnded(view, &all) == all;
  }
  if (view.environments.empty() && ReplicasOf(view.spec()) > 0) return false;
  if (!plan.unplaced.empty() || (!IsSetUp(view) && !view.slots.empty())) return false;
  for (const SlotView& slot : view.slots) {
    if (!IsAtTarget(view, slot)) return false;
    if (!std::all_of(slot.leaving.begin(), slot.leaving.end(), ended_or_silent)) return false;
  }
  return std::all_of(view.surplus.begin(), view.surplus.end(), ended_or_silent) &&
         std::all_of(view.setups.begin(), view.setups.end(), ended);
}

Progress ProgressOf(const AppView& view, const RolloutPlan& plan, const api::AppStatus& status) {
  Progress progress;
  if (!view.runs) {
    progress.step = CountEnded(view, &progress.steps);
    progress.message = fmt::format(
        "{} of {} ended.", progress.step,
        progress.steps == 1 ? "1 instance has" : fmt::format("{} instances have", progress.steps));
    const api::Condition* reachable = FindCondition(status, "Reachable");
    if (reachable != nullptr && reachable->status() != api::CONDITION_STATUS_TRUE) {
      progress.message += " " + reachable->message();
    }
    if (!plan.note.empty()) progress.message += " " + plan.note;
    return progress;
  }
  progress.steps = static_cast<int>(view.slots.size());
  for (const SlotView& slot : view.slots) progress.step += IsAtTarget(view, slot);
  if (!plan.note.empty()) {
    progress.message = plan.note;
  } else if (const api::Condition* blocking = BlockingCondition(status)) {
    progress.message = blocking->message();
  } else {
    progress.message = fmt::format(
        "{} of {} as wanted.", progress.step,
        progress.steps == 1 ? "1 slot is" : fmt::format("{} slots are", progress.steps));
  }
  return progress;
}

}  // namespace appsup::entry
