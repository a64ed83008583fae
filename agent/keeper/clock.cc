#include "agent/keeper/clock.h"

#include <ctime>

namespace appsup::keeper {
namespace {

int64_t Read(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

int64_t BootNanos() { return Read(CLOCK_BOOTTIME); }

int64_t UnixNanos() { return Read(CLOCK_REALTIME); }

}  // namespace appsup::keeper
