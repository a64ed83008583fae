#include "catch2/catch.hpp"
#include "tests/simulation/isolated_run.h"
#include "tests/simulation/shrink.h"

namespace appsup::simulation {
namespace {

TEST_CASE("simulation: a seed gives the same run each time, with or without a trace") {
  for (const uint64_t seed : {1, 2, 3, 7}) {
    const RunResult first = Simulation({seed, std::nullopt, false}).Run();
    const RunResult second = Simulation({seed, std::nullopt, true}).Run();
    CHECK(first.hash == second.hash);
    CHECK(first.steps == second.steps);
    CHECK(first.trace.empty());
    CHECK_FALSE(second.trace.empty());
  }
}

TEST_CASE("simulation: two seeds give two runs") {
  CHECK(Simulation({1, std::nullopt, false}).Run().hash !=
        Simulation({2, std::nullopt, false}).Run().hash);
}

TEST_CASE("simulation: a run without any action keeps all promises") {
  const RunResult result = Simulation({5, std::set<int>{}, false}).Run();
  INFO((result.violation ? Describe(*result.violation) : ""));
  CHECK_FALSE(result.violation.has_value());
}

TEST_CASE("simulation: seeds keep all promises") {
  for (uint64_t seed = 100; seed < 130; ++seed) {
    const RunResult result = Simulation({seed, std::nullopt, false}).Run();
    INFO("seed " << seed << ": " << (result.violation ? Describe(*result.violation) : ""));
    CHECK_FALSE(result.violation.has_value());
  }
}

TEST_CASE("simulation: shrinking leaves only the actions that matter") {
  const auto needs_two = [](const RunOptions& run) -> std::optional<Violation> {
    if (!run.keep->contains(1) || !run.keep->contains(3)) return std::nullopt;
    return Violation{2, {}, "", ""};
  };
  const Shrunk shrunk = Shrink(1, 2, needs_two);
  CHECK(shrunk.keep == std::set<int>{1, 3});
}

TEST_CASE("simulation: shrinking does not take another broken promise for the one it looks for") {
  const auto other = [](const RunOptions& run) -> std::optional<Violation> {
    return Violation{run.keep->contains(0) ? 2 : 4, {}, "", ""};
  };
  CHECK(Shrink(1, 2, other).keep == std::set<int>{0});
}

TEST_CASE("simulation: a process that a run ends is a broken promise of its own") {
  const Outcome outcome = RunIsolated({1, std::set<int>{}, false});
  CHECK(outcome.promise == -1);
  CHECK(outcome.seed == 1);
}

}  // namespace
}  // namespace appsup::simulation
