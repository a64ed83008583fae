#include "tests/simulation/shrink.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace appsup::simulation {

Shrunk Shrink(uint64_t seed, int promise,
              const std::function<std::optional<Violation>(const RunOptions&)>& run) {
  Shrunk shrunk;
  for (const Action& action : MakeSchedule(seed).actions) shrunk.keep.insert(action.number);
  size_t piece = std::max<size_t>(1, shrunk.keep.size() / 2);
  bool less = true;
  while (less || piece > 1) {
    if (!less) piece = std::max<size_t>(1, piece / 2);
    less = false;
    const std::vector<int> before(shrunk.keep.begin(), shrunk.keep.end());
    for (size_t begin = 0; begin < before.size(); begin += piece) {
      std::set<int> without = shrunk.keep;
      for (size_t i = begin; i < std::min(begin + piece, before.size()); ++i) {
        without.erase(before[i]);
      }
      if (without.size() == shrunk.keep.size()) continue;
      ++shrunk.runs;
      const std::optional<Violation> violation = run({seed, without, false});
      if (!violation || violation->promise != promise) continue;
      shrunk.keep = std::move(without);
      less = true;
    }
  }
  return shrunk;
}

}  // namespace appsup::simulation
