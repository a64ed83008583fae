#include "tests/simulation/world.h"

#include <algorithm>

namespace appsup::simulation {

void World::At(absl::Duration time, std::function<void()> what) {
  heap_.push_back({std::max(time, now_), ++order_, std::move(what)});
  std::push_heap(heap_.begin(), heap_.end());
}

bool World::Step(absl::Duration until) {
  if (violation_ || heap_.empty() || heap_.front().at > until) {
    if (!violation_) now_ = std::max(now_, until);
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end());
  const Planned planned = std::move(heap_.back());
  heap_.pop_back();
  now_ = planned.at;
  ++steps_;
  planned.what();
  return !violation_;
}

SeededRandom World::Stream(std::string_view part) const {
  uint64_t mixed = 0xcbf29ce484222325u;
  for (const char c : part) mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  SeededRandom mixer(seed_ ^ mixed);
  return SeededRandom(mixer.Next());
}

void World::Fail(int promise, std::string seen, std::string expected) {
  if (violation_) return;
  Note("check", "broken", std::to_string(promise), [&] { return seen + " | " + expected; });
  violation_ = Violation{promise, now_, std::move(seen), std::move(expected)};
}

absl::Duration Between(Random& random, absl::Duration low, absl::Duration high) {
  return absl::Nanoseconds(
      Between(random, absl::ToInt64Nanoseconds(low), absl::ToInt64Nanoseconds(high)));
}

int64_t Between(Random& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random.Below(static_cast<uint64_t>(high - low) + 1));
}

bool Chance(Random& random, int percent) { return static_cast<int>(random.Below(100)) < percent; }

}  // namespace appsup::simulation
