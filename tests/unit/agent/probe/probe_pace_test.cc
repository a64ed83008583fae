#include "agent/probe/probe_pace.h"

#include <catch2/catch.hpp>
#include <set>

namespace appsup::agent {
namespace {

TEST_CASE("probe pace: it is quick until the first success and never slower than the period") {
  SeededRandom random(7);
  ProbePace pace(absl::Seconds(1));
  for (int64_t base : {100, 200, 400, 800, 1000, 1000}) {
    const absl::Duration delay = pace.Next(false, random);
    CHECK(delay >= absl::Milliseconds(base) * 0.8);
    CHECK(delay <= absl::Milliseconds(base) * 1.2);
  }
}

TEST_CASE("probe pace: after the first success comes a random phase, then the period") {
  SeededRandom random(8);
  std::set<absl::Duration> phases;
  for (int i = 0; i < 50; ++i) {
    ProbePace pace(absl::Seconds(10));
    const absl::Duration phase = pace.Next(true, random);
    phases.insert(phase);
    CHECK(phase >= absl::Seconds(5));
    CHECK(phase <= absl::Seconds(10));
    for (bool ok : {true, false, false}) {
      const absl::Duration delay = pace.Next(ok, random);
      CHECK(delay >= absl::Seconds(9));
      CHECK(delay <= absl::Seconds(11));
    }
  }
  CHECK(phases.size() > 40);
}

}  // namespace
}  // namespace appsup::agent
