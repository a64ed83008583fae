#pragma once

#include <functional>
#include <set>

#include "tests/simulation/simulation.h"

namespace appsup::simulation {

// The fewest actions of this seed's schedule that still break the same promise: pieces are left
// out, then single actions, as long as anything can be left out. `run` makes one run.
struct Shrunk {
  std::set<int> keep;
  int runs = 0;
};
Shrunk Shrink(uint64_t seed, int promise,
              const std::function<std::optional<Violation>(const RunOptions&)>& run);

}  // namespace appsup::simulation
