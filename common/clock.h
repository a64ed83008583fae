#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace appsup {

// A point in time as the cores get it. Leases, backoff and deadlines use `boot`, which never jumps
// and counts suspended time; `wall` only serves expiry dates and what people read.
struct Moment {
  absl::Time wall;
  absl::Duration boot;  // CLOCK_BOOTTIME: since this machine started.

  bool operator==(const Moment&) const = default;
};

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Moment Now() = 0;
};

class SystemClock : public Clock {
 public:
  Moment Now() override;
};

// Changes with each start of the machine.
absl::StatusOr<std::string> BootId();

}  // namespace appsup
