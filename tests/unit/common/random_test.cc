#include "common/random.h"

#include <array>
#include <catch2/catch.hpp>

namespace appsup {

TEST_CASE("random: a seed gives the published splitmix64 numbers") {
  SeededRandom random(1234567);
  CHECK(random.Next() == 6457827717110365317u);
  CHECK(random.Next() == 3203168211198807973u);
  CHECK(random.Next() == 9817491932198370423u);
}

TEST_CASE("random: Below stays in range and reaches all of it evenly") {
  SeededRandom random(1);
  std::array<int, 7> hits{};
  for (int i = 0; i < 7000; ++i) ++hits.at(random.Below(7));
  for (int count : hits) CHECK((count > 850 && count < 1150));
  CHECK(random.Below(1) == 0);
}

TEST_CASE("random: the system does not repeat itself") {
  SystemRandom random;
  CHECK(random.Next() != random.Next());
}

}  // namespace appsup
