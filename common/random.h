#pragma once

#include <cstdint>

namespace appsup {

class Random {
 public:
  virtual ~Random() = default;

  // 64 evenly distributed bits.
  virtual uint64_t Next() = 0;

  // Evenly from [0, limit), without modulo bias. `limit` > 0.
  uint64_t Below(uint64_t limit);
};

// From getrandom(2): fit for keys and tokens. Thread-safe.
class SystemRandom : public Random {
 public:
  uint64_t Next() override;
};

// splitmix64: the same seed gives the same numbers on each machine. For tests and simulation, not
// for secrets. One thread.
class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() override;

 private:
  uint64_t state_;
};

}  // namespace appsup
