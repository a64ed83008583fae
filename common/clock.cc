#include "common/clock.h"

#include <ctime>

#include "absl/time/clock.h"

namespace appsup {

Moment SystemClock::Now() {
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  return {absl::Now(), absl::DurationFromTimespec(boot)};
}

}  // namespace appsup
