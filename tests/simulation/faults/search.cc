#include "tests/simulation/faults/search.h"

#include <algorithm>
#include <map>

namespace appsup::simulation {
namespace {

constexpr uint64_t kAtOnce = 16;  // Seeds that are run before one looks at what came of them.

std::map<uint64_t, Outcome> RunSome(uint64_t first, uint64_t last, int jobs) {
  std::map<uint64_t, Outcome> broken;
  RunMany(
      first, last, jobs, [] { return false; },
      [&](const Outcome& outcome) {
        if (outcome.promise >= 0) broken[outcome.seed] = outcome;
      });
  return broken;
}

}  // namespace

std::optional<Outcome> Search(planted::Fault fault, uint64_t first, uint64_t last, int jobs,
                              const std::function<void(const Outcome&)>& other) {
  const std::vector<int>& promises = planted::Rows()[fault].promises;
  for (uint64_t begin = first; begin <= last; begin += kAtOnce) {
    planted::on = fault;
    const auto broken = RunSome(begin, std::min(last, begin + kAtOnce - 1), jobs);
    planted::on = planted::kNone;
    for (const auto& [seed, outcome] : broken) {
      const bool expected =
          std::find(promises.begin(), promises.end(), outcome.promise) != promises.end();
      if (expected && RunIsolated({seed, std::nullopt, false}).promise < 0) return outcome;
      other(outcome);
    }
  }
  return std::nullopt;
}

}  // namespace appsup::simulation
