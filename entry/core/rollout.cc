#include "entry/core/rollout.h"

#include <algorithm>

#include "entry/core/disconnect.h"
#include "entry/core/instance_facts.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {
bool IsSettled(const AppView& view, const rec::InstanceRecord& target) {
  return IsServing(target) || HasCompleted(target, view.target_spec());
}

bool IsOtherRevision(const AppView& view, const rec::InstanceRecord& record) {
  return record.instance().revision() != view.record->target_revision();
}

// It takes room on a node that answers.
bool IsLive(const rec::InstanceRecord& record) {
  return !HasEnded(record) && record.instance().reachable();
}

bool RestartIsUnderWay(const rec::InstanceRecord& record) {
  return record.applied_restart_nonce() != record.restart_nonce();
}

class RolloutPlanner {
 public:
  RolloutPlanner(const AppView& view, const PlaceSlot& place) : view_(view), place_(place) {
    const api::Update& update = view.spec().update();
    max_unavailable_ = update.has_max_unavailable() ? update.max_unavailable() : 0;
    max_surge_ = update.has_max_surge() ? update.max_surge() : 1;
    if (view.recreate || view.fenced) max_surge_ = 0;
    if (max_surge_ == 0) max_unavailable_ = std::max(max_unavailable_, 1);
  }

  RolloutPlan Plan(bool setup_done) {
    RemoveSurplus();
    plan_.may_set_up = !view_.recreate || StopOld();
    if (!plan_.may_set_up || !setup_done) return std::move(plan_);
    for (size_t begin = 0; begin < view_.slots.size();) {
      size_t end = begin;
      while (end < view_.slots.size() &&
             view_.slots[end].environment == view_.slots[begin].environment) {
        ++end;
      }
      CountEnvironment(begin, end);
      for (size_t slot = begin; slot < end; ++slot) PlanSlot(slot);
      begin = end;
    }
    return std::move(plan_);
  }

 private:
  void RemoveSurplus() {
    // Highest slots first, so that their agents hear of it first.
    for (auto record = view_.surplus.rbegin(); record != view_.surplus.rend(); ++record) {
      Remove(**record);
    }
  }

  void Remove(const rec::InstanceRecord& record) {
    if (!IsLeaving(record)) plan_.remove.push_back(&record);
  }

  // RECREATE: returns whether everything of other revisions has ended.
  bool StopOld() {
    bool ended = true;
    auto look = [&](const rec::InstanceRecord& record) {
      if (IsOtherRevision(view_, record) && !HasLeftItsSlot(record)) ended = false;
    };
    for (const SlotView& slot : view_.slots) {
      for (const rec::InstanceRecord* record : slot.old) {
        look(*record);
        const bool runs = record->instance().desired() == api::DESIRED_STATE_RUN;
        if (!runs || !IsOtherRevision(view_, *record)) continue;
        plan_.stop.push_back(record);
        ended = false;
      }
      for (const rec::InstanceRecord* record : slot.leaving) look(*record);
    }
    for (const rec::InstanceRecord* record : view_.surplus) look(*record);
    return ended;
  }

  void CountEnvironment(size_t begin, size_t end) {
    surge_left_ = max_surge_;
    unavailable_ = 0;
    for (size_t i = begin; i < end; ++i) {
      const SlotView& slot = view_.slots[i];
      int live = slot.target != nullptr ? 1 : 0;
      for (const rec::InstanceRecord* record : slot.old) live += IsLive(*record);
      for (const rec::InstanceRecord* record : slot.leaving) live += IsLive(*record);
      surge_left_ -= std::max(live - 1, 0);
      const bool restarts = slot.target != nullptr && RestartIsUnderWay(*slot.target);
      if (restarts || !IsAvailable(view_, slot)) ++unavailable_;
    }
  }

  void PlanSlot(size_t index) {
    const SlotView& slot = view_.slots[index];
    const bool settled = slot.target != nullptr && IsSettled(view_, *slot.target);
    const rec::InstanceRecord* serving = nullptr;  // An old one that goes when its successor came.
    bool wait = false;  // For one that has to end before another may begin.
    for (const rec::InstanceRecord* record : slot.leaving) {
      wait = wait || IsLive(*record) || IsInTheWay(index, *record);
    }
    if (settled) {
      for (const rec::InstanceRecord* record : slot.lost) Remove(*record);
    }
    for (const rec::InstanceRecord* old : slot.old) {
      const bool moves = !IsOtherRevision(view_, *old);
      if (HasEnded(*old)) {
        if (slot.target != nullptr) Remove(*old);
      } else if (!settled && !moves && IsInTheWay(index, *old)) {
        wait = true;  // It may serve, and is heard of again when its node is back.
      } else if (settled || (!moves && !IsServing(*old))) {
        Remove(*old);
        wait = wait || IsLive(*old) || IsInTheWay(index, *old);
      } else {
        serving = old;
      }
    }
    if (slot.target == nullptr && serving != nullptr) {
      Replace(index, *serving);
    } else if (slot.target == nullptr) {
      if (!wait) CreateTarget(index);
    } else if (slot.target->instance().desired() != api::DESIRED_STATE_RUN) {
      StartAgain(index);
    } else {
      MaybeRestart(slot);
    }
  }

  // It may run where nobody sees it, and its slot is not given away.
  bool IsInTheWay(size_t index, const rec::InstanceRecord& record) {
    if (!HoldsItsSlot(record)) return false;
    plan_.unplaced[index] = {"NodeLost",
                             fmt::format("{} may still run on node {}, which does not answer",
                                         IdOf(record.instance().name()), record.instance().node())};
    return true;
  }

  PlacementRequest RequestFor(const SlotView& slot) const {
    PlacementRequest request;
    request.environment = slot.environment;
    if (slot.newest != nullptr) request.former_node = slot.newest->instance().node();
    request.bound = slot.bound;
    return request;
  }

  // Returns whether the slot has a node.
  bool Create(size_t index, const PlacementRequest& request, Unplaced* why) {
    PlacementAnswer answer = place_(request);
    if (auto* unplaced = std::get_if<Unplaced>(&answer)) {
      *why = std::move(*unplaced);
      return false;
    }
    plan_.create.push_back({index, std::get<std::string>(answer)});
    return true;
  }

  void CreateTarget(size_t index) {
    const SlotView& slot = view_.slots[index];
    Unplaced why;
    if (!Create(index, RequestFor(slot), &why)) {
      plan_.unplaced[index] = why;
      return;
    }
    for (const rec::InstanceRecord* old : slot.old) Remove(*old);
  }

  // Where it was, if there is still room.
  void StartAgain(size_t index) {
    const SlotView& slot = view_.slots[index];
    const rec::InstanceRecord& target = *slot.target;
    if (!HasEnded(target)) {
      plan_.run.push_back(&target);
      return;
    }
    PlacementRequest request = RequestFor(slot);
    request.former_node = target.instance().node();
    PlacementAnswer answer = place_(request);
    if (auto* unplaced = std::get_if<Unplaced>(&answer)) {
      plan_.unplaced[index] = std::move(*unplaced);
    } else if (std::get<std::string>(answer) == target.instance().node()) {
      plan_.run.push_back(&target);
    } else {
      Remove(target);
      plan_.create.push_back({index, std::get<std::string>(answer)});
    }
  }

  // `old` serves until its successor is ready, as far as the limits of the update allow.
  void Replace(size_t index, const rec::InstanceRecord& old) {
    const bool moves = !IsOtherRevision(view_, old);
    PlacementRequest request;
    request.environment = view_.slots[index].environment;
    if (!moves) request.former_node = old.instance().node();
    Unplaced why;
    if (surge_left_ > 0) {
      if (Create(index, request, &why)) {
        --surge_left_;
      } else if (!moves && OwnPortsAreInTheWay(request, old)) {
        StopFirst(old, std::max(max_unavailable_, 1));
      } else {
        CannotReplace(index, old, std::move(why));
      }
      return;
    }
    if (unavailable_ >= max_unavailable_) return;
    if (moves) {
      PlacementAnswer answer = place_(request);
      if (auto* unplaced = std::get_if<Unplaced>(&answer)) {
        return CannotReplace(index, old, std::move(*unplaced));
      }
    }
    StopFirst(old, max_unavailable_);
  }

  void CannotReplace(size_t index, const rec::InstanceRecord& old, Unplaced why) {
    if (IsOtherRevision(view_, old)) {
      plan_.unplaced[index] = std::move(why);
    } else {
      plan_.stuck.emplace_back(&old, std::move(why.message));
    }
  }

  bool OwnPortsAreInTheWay(PlacementRequest request, const rec::InstanceRecord& old) {
    if (old.fixed_ports().empty()) return false;
    request.released_ports = &old.fixed_ports();
    request.bound = true;
    if (std::holds_alternative<Unplaced>(place_(request))) return false;
    plan_.note = fmt::format(
        "Port {} is fixed and only {} can host the slot, so the old instance stops before the new "
        "one starts.",
        old.fixed_ports(0).number(), old.instance().node());
    return true;
  }

  void StopFirst(const rec::InstanceRecord& old, int limit) {
    if (unavailable_ >= limit) return;
    Remove(old);
    ++unavailable_;
  }

  void MaybeRestart(const SlotView& slot) {
    const rec::InstanceRecord& target = *slot.target;
    if (target.restart_nonce() == view_.spec().restart_nonce()) return;
    const bool serves = IsAvailable(view_, slot) && !RestartIsUnderWay(target);
    if (serves && unavailable_ >= std::max(max_unavailable_, 1)) return;
    plan_.restart.push_back(&target);
    if (serves) ++unavailable_;
  }

  const AppView& view_;
  const PlaceSlot& place_;
  RolloutPlan plan_;
  int max_surge_ = 1;
  int max_unavailable_ = 0;
  int surge_left_ = 0;   // In the present environment.
  int unavailable_ = 0;  // Slots of the present environment that do not serve.
};

}  // namespace

RolloutPlan PlanRollout(const AppView& view, bool setup_done, const PlaceSlot& place) {
  return RolloutPlanner(view, place).Plan(setup_done);
}

RolloutPlan PlanStop(const AppView& view) {
  RolloutPlan plan;
  auto stop = [&](const rec::InstanceRecord& record) {
    if (record.instance().desired() == api::DESIRED_STATE_RUN) plan.stop.push_back(&record);
  };
  for (const SlotView& slot : view.slots) {
    if (slot.target != nullptr) stop(*slot.target);
    for (const rec::InstanceRecord* lost : slot.lost) stop(*lost);
    for (const rec::InstanceRecord* old : slot.old) {
      // One whose node is to be emptied starts elsewhere the next time.
      const bool moves = !IsOtherRevision(view, *old);
      if (moves && HasEnded(*old) && !IsLeaving(*old)) plan.remove.push_back(old);
      if (!moves || !HasEnded(*old)) stop(*old);
    }
  }
  for (const rec::InstanceRecord* record : view.setups) stop(*record);
  for (const rec::InstanceRecord* record : view.surplus) {
    if (!IsLeaving(*record)) plan.remove.push_back(record);
  }
  return plan;
}

RolloutPlan PlanRemoval(const AppView& view) {
  RolloutPlan plan;
  for (const auto* records : {&view.surplus, &view.setups}) {
    for (const rec::InstanceRecord* record : *records) {
      if (!IsLeaving(*record)) plan.remove.push_back(record);
    }
  }
  return plan;
}

bool IsAvailable(const AppView& view, const SlotView& slot) {
  if (slot.target != nullptr && IsSettled(view, *slot.target)) return true;
  return std::any_of(slot.old.begin(), slot.old.end(),
                     [](const rec::InstanceRecord* old) { return IsServing(*old); });
}

bool IsAtTarget(const AppView& view, const SlotView& slot) {
  if (slot.target == nullptr || !slot.old.empty()) return false;
  const rec::InstanceRecord& target = *slot.target;
  return IsSettled(view, target) && target.restart_nonce() == view.spec().restart_nonce() &&
         !RestartIsUnderWay(target) &&
         target.instance().observed_generation() >= view.record->app().generation();
}

}  // namespace appsup::entry
