#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace appsup {

struct BackoffOptions {
  absl::Duration initial = absl::Milliseconds(100);
  absl::Duration max = absl::Seconds(8);
  double multiplier = 2;
  double jitter = 0.1;  // Share of the delay by which it may be shorter or longer, in [0, 1].
};

// Delays that grow with each failed attempt. Pure: the caller counts and brings the randomness.
class Backoff {
 public:
  explicit Backoff(BackoffOptions options) : options_(options) {}

  // Before retry `attempt` (0 = the first one): initial * multiplier^attempt, at most max, then
  // spread by the jitter share. `random` is 64 even bits.
  absl::Duration Next(uint32_t attempt, uint64_t random) const;

  // Evenly between 0 and that delay: for reconnects, where many clients lose one server at the
  // same moment and a shared rhythm would hit it again.
  absl::Duration NextFullJitter(uint32_t attempt, uint64_t random) const;

  // Without randomness.
  absl::Duration Ceiling(uint32_t attempt) const;

 private:
  BackoffOptions options_;
};

}  // namespace appsup
