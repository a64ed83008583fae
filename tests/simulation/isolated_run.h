#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/simulation/simulation.h"

namespace appsup::simulation {

// What came of one run in a process of its own. A run that ended its process broke promise 0: no
// input may do that.
struct Outcome {
  uint64_t seed = 0;
  int promise = -1;  // -1: all were kept.
  uint64_t steps = 0;
  uint64_t hash = 0;
  std::string text;  // What was seen, and what was expected.
};

Outcome RunIsolated(const RunOptions& options);

// Seeds first..last (or until `stop` says so, asked between seeds) in `jobs` processes. `done` is
// told of each, in no particular order.
void RunMany(uint64_t first, uint64_t last, int jobs, const std::function<bool()>& stop,
             const std::function<void(const Outcome&)>& done);

// "promise 2 at 0:31.2: … (expected: …)".
std::string Describe(const Violation& violation);

}  // namespace appsup::simulation
