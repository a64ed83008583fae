#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "entry/core/app_view.h"
#include "entry/core/placement.h"

// What to do next with an app's instances. Pure: called again after each report, it leads step by
// step to what is wanted.
namespace appsup::entry {

struct RolloutPlan {
  struct Create {
    size_t slot = 0;   // Index into AppView::slots.
    std::string node;  // Id.
  };
  std::vector<Create> create;
  std::vector<const rec::InstanceRecord*> run;      // Start again.
  std::vector<const rec::InstanceRecord*> stop;     // Keep the folders.
  std::vector<const rec::InstanceRecord*> remove;   // Stop and forget.
  std::vector<const rec::InstanceRecord*> restart;  // Take over the app's restart nonce.
  std::map<size_t, Unplaced> unplaced;              // By slot.
  // Instances on nodes that are to be emptied, and why they cannot go.
  std::vector<std::pair<const rec::InstanceRecord*, std::string>> stuck;
  bool may_set_up = false;  // Setup may run now: RECREATE has stopped everything old.
  std::string note;         // What is odd about this rollout, as a sentence; or "".

  bool acts() const {
    return !create.empty() || !run.empty() || !stop.empty() || !remove.empty() || !restart.empty();
  }
};

using PlaceSlot = std::function<PlacementAnswer(const PlacementRequest&)>;

// For an app that should run. `setup_done`: instances of the target revision may start.
RolloutPlan PlanRollout(const AppView& view, bool setup_done, const PlaceSlot& place);

// For an app that should be stopped: all stop and stay where they are.
RolloutPlan PlanStop(const AppView& view);

// For an app that is deleted: all go.
RolloutPlan PlanRemoval(const AppView& view);

// The target instance of this slot is as it should be: it is ready or has completed, follows the
// app's newest generation and restart, and nothing of the slot is left to be replaced.
bool IsAtTarget(const AppView& view, const SlotView& slot);

// The slot has an instance that serves, or has completed.
bool IsAvailable(const AppView& view, const SlotView& slot);

}  // namespace appsup::entry
