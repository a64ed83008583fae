#pragma once

#include <map>
#include <string>

#include "absl/time/time.h"
#include "entry/core/disconnect.h"
#include "entry/core/instance_changes.h"

namespace appsup::entry {

// What was decided about the instances of an app whose nodes do not answer.
struct LossReport {
  // When to decide again, on the boot clock; InfiniteDuration if news has to come first.
  absl::Duration next = absl::InfiniteDuration();
  // By name of the instance: why its slot is not given to another node yet, as a sentence without a
  // full stop.
  std::map<std::string, std::string> held;
  bool changed = false;
};

// Gives the slots of lost nodes' instances away when the app's rule says so and no brake holds:
// those that their fence has ended by then are to be removed, others (LOSS_REPLACED) go on where
// they are until their successor is ready.
LossReport JudgeLosses(const Ground& ground, const std::string& app_name);

// States for each instance whether it is fenced, as the app's rule has it now.
void UpdateFences(const Ground& ground, const std::string& app_name);

}  // namespace appsup::entry
