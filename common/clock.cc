#include "common/clock.h"

#include <ctime>

#include "absl/time/clock.h"
#include "common/file.h"
#include "common/status.h"

namespace appsup {

Moment SystemClock::Now() {
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  return {absl::Now(), absl::DurationFromTimespec(boot)};
}

absl::StatusOr<std::string> BootId() {
  ASSIGN_OR_RETURN(std::string text, ReadFile("/proc/sys/kernel/random/boot_id"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace appsup
