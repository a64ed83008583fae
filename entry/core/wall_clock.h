#pragma once

#include <algorithm>

#include "absl/time/time.h"
#include "common/clock.h"

namespace appsup::entry {

// Keeps an eye on the wall clock of one start of the entry: expiry dates are the only thing that
// rests on it, and it may be set at any time. Core thread only.
class WallClock {
 public:
  explicit WallClock(const Moment& start) : start_(start), last_(start) {}

  // By how much it was set since the last look; zero if by less than a minute, as slewing does.
  absl::Duration TakeJump(const Moment& now) {
    const absl::Duration jump = (now.wall - last_.wall) - (now.boot - last_.boot);
    last_ = now;
    return jump >= kJump || jump <= -kJump ? jump : absl::ZeroDuration();
  }

  // The wall time, but never later than it would be had nobody set it forward since the start.
  // Whatever is forgotten by age goes by this.
  absl::Time Cautious(const Moment& now) const {
    return std::min(now.wall, start_.wall + (now.boot - start_.boot) + kJump);
  }

 private:
  static constexpr absl::Duration kJump = absl::Minutes(1);

  const Moment start_;
  Moment last_;
};

}  // namespace appsup::entry
