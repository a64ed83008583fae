#pragma once

#include <string>

#include "absl/time/time.h"
#include "entry/core/app_view.h"
#include "entry/core/node_loss.h"
#include "entry/core/rollout.h"

// What is true of an app, computed from its instances and from what its rollout waits for. Pure.
namespace appsup::entry {

struct StatusInput {
  const Catalog& catalog;
  const AppView& view;
  const RolloutPlan& plan;
  const api::AppStatus* former = nullptr;  // nullptr: none yet.
  const LossReport& losses;
  absl::Time now;
  // An update failed just now and was taken back: why. Else empty.
  std::string rolled_back;
};

api::AppStatus ComputeStatus(const StatusInput& input);

// The conditions; app_conditions.cc.
void AddConditions(const StatusInput& input, api::AppStatus& status);

// The condition that keeps the app from what is wanted, in order of cause before effect; nullptr if
// none does.
const api::Condition* BlockingCondition(const api::AppStatus& status);

const api::Condition* FindCondition(const api::AppStatus& status, const std::string& type);

// Everything is as the spec wants it: operations on the app are done.
bool IsDone(const AppView& view, const RolloutPlan& plan);

// How far it is: slots at their target, or instances that have ended or gone.
struct Progress {
  int step = 0;
  int steps = 0;
  std::string message;
};
Progress ProgressOf(const AppView& view, const RolloutPlan& plan, const api::AppStatus& status);

// Slots by how their instances are.
struct SlotCounts {
  int slots = 0;
  int ready = 0;      // An instance of any revision serves.
  int completed = 0;  // Its target ended well and is not needed any more.
  int empty = 0;      // No instance but leaving ones.
  int updated = 0;    // Its target serves or has completed, and nothing old is left.
  int silent = 0;     // Its instances are on nodes that do not answer.
  int given_up = 0;   // Not tried again by itself.
  int backing_off = 0;
  int unsettled = 0;      // Was ready in this start, and is not now; or was restarted.
  bool old_runs = false;  // Something of another revision has not ended.
  bool all_ended = true;  // Nothing at all runs.
};
SlotCounts CountSlots(const AppView& view);

}  // namespace appsup::entry
