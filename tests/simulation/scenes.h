#pragma once

#include <cstdint>
#include <vector>

#include "tests/simulation/schedule.h"

namespace appsup::simulation {

// Some runs have a scene beside their actions: a few that belong together and that chance alone
// would hardly bring together in the right order, with an app of its own. Empty: this run has none.
std::vector<Action> MakeScene(uint64_t seed, Setting& setting);

}  // namespace appsup::simulation
