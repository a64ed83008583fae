#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/random.h"
#include "tests/simulation/trace.h"

namespace appsup::simulation {

// A promise of the architecture (section 10) that did not hold.
struct Violation {
  int promise = 0;
  absl::Duration at;
  std::string seen;
  std::string expected;
};

// Virtual time and what is still to happen. Things of one time happen in the order in which they
// were planned. All chance comes from one seed: each part takes a stream of its own, so that what
// one part draws does not change another. One thread.
class World {
 public:
  World(uint64_t seed, bool keeps_lines) : trace(keeps_lines), seed_(seed) {}

  absl::Duration now() const { return now_; }
  void After(absl::Duration delay, std::function<void()> what) {
    At(now_ + delay, std::move(what));
  }
  void At(absl::Duration time, std::function<void()> what);

  // One thing happens; false if nothing is planned, time is up or a promise was broken.
  bool Step(absl::Duration until);

  SeededRandom Stream(std::string_view part) const;

  // The first one counts, and ends the run.
  void Fail(int promise, std::string seen, std::string expected);
  const std::optional<Violation>& violation() const { return violation_; }

  template <class Content>
  void Note(std::string_view who, std::string_view what, std::string_view key, Content content) {
    trace.Add(now_, who, what, key, content);
  }
  void Note(std::string_view who, std::string_view what, std::string_view key = "") {
    trace.Add(now_, who, what, key, [key] { return std::string(key); });
  }

  uint64_t seed() const { return seed_; }
  uint64_t steps() const { return steps_; }

  Trace trace;

 private:
  struct Planned {
    absl::Duration at;
    uint64_t order = 0;
    std::function<void()> what;
    bool operator<(const Planned& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);
    }
  };

  const uint64_t seed_;
  absl::Duration now_;
  uint64_t order_ = 0;
  uint64_t steps_ = 0;
  std::vector<Planned> heap_;
  std::optional<Violation> violation_;
};

// Evenly from [low, high].
absl::Duration Between(Random& random, absl::Duration low, absl::Duration high);
int64_t Between(Random& random, int64_t low, int64_t high);
// True in `percent` of 100 cases.
bool Chance(Random& random, int percent);

}  // namespace appsup::simulation
