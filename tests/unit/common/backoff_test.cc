#include "common/backoff.h"

#include <catch2/catch.hpp>
#include <limits>

#include "common/random.h"

namespace appsup {
namespace {

const Backoff kReconnect({.initial = absl::Milliseconds(100), .max = absl::Seconds(8)});
constexpr uint64_t kMiddle = uint64_t{1} << 63;
constexpr uint64_t kHighest = std::numeric_limits<uint64_t>::max();

}  // namespace

TEST_CASE("backoff: doubles from the first delay to the longest, whatever the count") {
  CHECK(kReconnect.Ceiling(0) == absl::Milliseconds(100));
  CHECK(kReconnect.Ceiling(1) == absl::Milliseconds(200));
  CHECK(kReconnect.Ceiling(6) == absl::Milliseconds(6400));
  CHECK(kReconnect.Ceiling(7) == absl::Seconds(8));
  CHECK(kReconnect.Ceiling(100000) == absl::Seconds(8));
  CHECK(kReconnect.Ceiling(std::numeric_limits<uint32_t>::max()) == absl::Seconds(8));
}

TEST_CASE("backoff: jitter spreads by its share to both sides") {
  CHECK(kReconnect.Next(0, 0) == absl::Milliseconds(90));
  CHECK(kReconnect.Next(0, kMiddle) == absl::Milliseconds(100));
  CHECK(kReconnect.Next(0, kHighest) <= absl::Milliseconds(110));
  CHECK(kReconnect.Next(0, kHighest) > absl::Milliseconds(109));
}

TEST_CASE("backoff: full jitter reaches from nothing to the delay") {
  CHECK(kReconnect.NextFullJitter(3, 0) == absl::ZeroDuration());
  CHECK(kReconnect.NextFullJitter(3, kMiddle) == absl::Milliseconds(400));
  CHECK(kReconnect.NextFullJitter(3, kHighest) <= absl::Milliseconds(800));
  CHECK(kReconnect.NextFullJitter(3, kHighest) > absl::Milliseconds(799));
}

}  // namespace appsup
