#pragma once

#include <cstdint>

namespace appsup::keeper {

// CLOCK_BOOTTIME in nanoseconds, what all deadlines of the keeper are in.
int64_t BootNanos();

// Wall clock, nanoseconds since the epoch: only for people and logs.
int64_t UnixNanos();

}  // namespace appsup::keeper
