#include <algorithm>
#include <set>

#include "catch2/catch.hpp"
#include "tests/simulation/faults/search.h"

namespace appsup::simulation {
namespace {

constexpr int kJobs = 2;

Outcome RunWith(planted::Fault fault, int seed) {
  planted::on = fault;
  const Outcome outcome = RunIsolated({static_cast<uint64_t>(seed), std::nullopt, false});
  planted::on = planted::kNone;
  return outcome;
}

bool Breaks(const planted::Row& row, const Outcome& outcome) {
  return std::find(row.promises.begin(), row.promises.end(), outcome.promise) != row.promises.end();
}

TEST_CASE("planted faults: each breaks its promise within the seeds that the list says") {
  for (size_t number = 0; number < planted::Rows().size(); ++number) {
    const planted::Row& row = planted::Rows()[number];
    DYNAMIC_SECTION(row.name) {
      const auto fault = static_cast<planted::Fault>(number);
      REQUIRE(row.seed > 0);
      // A change of a core may have moved it to another seed; the list's claim still has to hold.
      const bool still = Breaks(row, RunWith(fault, row.seed));
      const bool found =
          still || Search(fault, 1, static_cast<uint64_t>(row.within), kJobs, [](const Outcome&) {
                   }).has_value();
      INFO("not found within " << row.within << " seeds: see tests/simulation/faults/find");
      CHECK(found);
    }
  }
}

TEST_CASE("planted faults: with none of them on, the same seeds keep all promises") {
  std::set<int> seeds;
  for (const planted::Row& row : planted::Rows()) seeds.insert(row.seed);
  for (const int seed : seeds) {
    const Outcome outcome = RunWith(planted::kNone, seed);
    INFO(outcome.text);
    CHECK(outcome.promise == -1);
  }
}

}  // namespace
}  // namespace appsup::simulation
