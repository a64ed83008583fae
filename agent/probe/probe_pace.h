#pragma once

#include <algorithm>

#include "absl/time/time.h"
#include "common/random.h"

namespace appsup::agent {

// When the next check of one instance is due. Pure but for the randomness it is given.
class ProbePace {
 public:
  static constexpr absl::Duration kFirstRetry = absl::Milliseconds(100);

  explicit ProbePace(absl::Duration period) : period_(period), retry_(kFirstRetry) {}

  // Delay before the very first check: within `limit`, so that many that begin at one moment (an
  // agent that adopts hundreds of instances) do not stay in step.
  static absl::Duration First(absl::Duration limit, Random& random) {
    return Share(limit, 0, 1, random);
  }

  // Delay after a check: quick until the first success, then a random phase once, then the period.
  absl::Duration Next(bool ok, Random& random) {
    if (settled_) return Share(period_, 0.9, 1.1, random);
    if (ok) {
      settled_ = true;
      return Share(period_, 0.5, 1, random);
    }
    const absl::Duration delay = std::min(retry_, period_);
    retry_ = std::min(retry_ * 2, period_);
    return Share(delay, 0.8, 1.2, random);
  }

 private:
  // Evenly between two shares of `whole`.
  static absl::Duration Share(absl::Duration whole, double from, double to, Random& random) {
    constexpr uint64_t kSteps = 1 << 20;
    const double share = static_cast<double>(random.Below(kSteps)) / static_cast<double>(kSteps);
    return whole * (from + (to - from) * share);
  }

  absl::Duration period_;
  absl::Duration retry_;
  bool settled_ = false;  // A check has succeeded.
};

}  // namespace appsup::agent
