#include "common/backoff.h"

#include <algorithm>
#include <cmath>

namespace appsup {
namespace {

// The upper 53 bits as a number in [0, 1).
double Fraction(uint64_t random) { return std::ldexp(static_cast<double>(random >> 11), -53); }

}  // namespace

absl::Duration Backoff::Ceiling(uint32_t attempt) const {
  // Exponents beyond the range of a double give infinity, which min() brings back.
  double factor = std::pow(options_.multiplier, attempt);
  if (factor >= absl::FDivDuration(options_.max, options_.initial)) return options_.max;
  return options_.initial * factor;
}

absl::Duration Backoff::Next(uint32_t attempt, uint64_t random) const {
  double spread = 1 + options_.jitter * (2 * Fraction(random) - 1);
  return Ceiling(attempt) * spread;
}

absl::Duration Backoff::NextFullJitter(uint32_t attempt, uint64_t random) const {
  return Ceiling(attempt) * Fraction(random);
}

}  // namespace appsup
