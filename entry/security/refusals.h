#pragma once

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/mutex.h"

namespace appsup::entry {

// The log of calls that were refused for who made them: at most kPerSecond lines a second, so that
// knocking at the door fills no disk. All are counted. Thread-safe.
class Refusals {
 public:
  static constexpr int kPerSecond = 10;

  // Both outlive this.
  Refusals(Clock& clock, Metrics& metrics);

  // `reason`: UPPER_SNAKE, as in the error. `principal`: empty if nobody was recognised.
  void Note(const std::string& reason, const std::string& principal, const std::string& method,
            const std::string& peer);

 private:
  // Whether one more line fits into this second.
  bool Admit();

  Clock& clock_;
  Metrics& metrics_;
  Mutex mutex_;
  absl::Duration second_begin_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  int in_second_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace appsup::entry
