#pragma once

#include "absl/time/time.h"
#include "common/clock.h"

namespace appsup::simulation {

// The clocks of one machine: CLOCK_BOOTTIME, that runs a little fast or slow and begins anew with
// each start of the machine, and a wall clock that can be set. `now` is true time throughout.
class MachineClock {
 public:
  // `rate` 1.01: one hundredth fast.
  explicit MachineClock(double rate) : rate_(rate) {}

  void Reboot(absl::Duration now) {
    since_ = now;
    boot_ = absl::Seconds(7);
  }
  void JumpWall(absl::Duration by) { jumped_ += by; }
  absl::Duration jumped() const { return jumped_; }

  Moment Now(absl::Duration now) const {
    return {absl::FromUnixSeconds(kStart) + jumped_ + now, boot_ + (now - since_) * rate_};
  }

  // When this machine's boot clock shows `boot`; a moment later rather than earlier.
  absl::Duration WhenBootIs(absl::Duration boot) const {
    return since_ + (boot - boot_) / rate_ + absl::Nanoseconds(2);
  }

 private:
  static constexpr int64_t kStart = 1'800'000'000;
  const double rate_;
  absl::Duration since_;
  absl::Duration boot_ = absl::Seconds(1000);
  absl::Duration jumped_;
};

}  // namespace appsup::simulation
