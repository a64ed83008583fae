#include "common/clock.h"

#include <ctime>

namespace appsup {

Moment SystemClock::Now() {
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  return {absl::Now(), absl::DurationFromTimespec(boot)};
}

}  // namespace appsup
