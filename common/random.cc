#include "common/random.h"

#include <sys/random.h>

#include <cerrno>

#include "common/check.h"

namespace appsup {

uint64_t Random::Below(uint64_t limit) {
  APPSUP_CHECK(limit > 0);
  // The lowest values, which one residue class would have too many of, are drawn again.
  const uint64_t biased = (0 - limit) % limit;
  uint64_t value = Next();
  while (value < biased) value = Next();
  return value % limit;
}

uint64_t SystemRandom::Next() {
  uint64_t value = 0;
  ssize_t got = 0;
  do {
    got = getrandom(&value, sizeof value, 0);
  } while (got < 0 && errno == EINTR);
  // Up to 256 bytes are never cut short once the pool is ready (getrandom(2)).
  APPSUP_CHECK(got == sizeof value, "getrandom(2) gave no bytes");
  return value;
}

uint64_t SeededRandom::Next() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace appsup
