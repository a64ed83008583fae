#pragma once

#include "appsupervisor/v1/app.pb.h"
#include "common/random.h"
#include "tests/simulation/process_plan.h"

namespace appsup::simulation {

// An app's spec as some operator might write it. `number`: which of the run's apps.
appsupervisor::v1::AppSpec MakeSpec(Random& random, int number);
// One change of what an operator may change; of what runs, or of the rest.
void ChangeSpec(Random& random, int number, appsupervisor::v1::AppSpec& spec);
// Apps of scenes: they start well, and stop only when they are killed. `fenced`: they run only
// under a lease; else their slots are given away soon after their node was lost.
appsupervisor::v1::AppSpec MakeDurableSpec(Random& random, int number, bool fenced);
// One with a setup that takes long, also to be stopped.
appsupervisor::v1::AppSpec MakeSetupSpec(Random& random, int number);
// Another such setup.
void SetLongSetup(Random& random, appsupervisor::v1::AppSpec& spec);
// Its instances run only under a lease from now on.
void SetFenced(appsupervisor::v1::AppSpec& spec);
// A spec that must be refused; it carries kBadMark.
appsupervisor::v1::AppSpec MakeBadSpec(Random& random, int number);
inline constexpr char kBadMark[] = "this-must-never-be-written";

// It starts whenever it is asked to, and runs until it is told to stop.
bool IsHealthy(const appsupervisor::v1::AppSpec& spec);
// The longest that its processes take on their own account: to be ready, to stop, to set up.
absl::Duration OwnTime(const appsupervisor::v1::AppSpec& spec);

}  // namespace appsup::simulation
