#pragma once

#include <functional>

#include "absl/time/time.h"
#include "common/clock.h"
#include "common/event_loop.h"

namespace appsup::testing {

// Makes the caller the loop thread until `condition` holds; false if it did not within `limit`. The
// condition is looked at on the loop thread, every two milliseconds.
inline bool DriveUntil(EventLoop& loop, const std::function<bool()>& condition,
                       absl::Duration limit = absl::Seconds(20)) {
  SystemClock clock;
  const absl::Duration deadline = clock.Now().boot + limit;
  EventLoop::TimerId timer = 0;
  bool held = false;
  std::function<void()> look = [&] {
    timer = 0;
    held = condition();
    if (held || clock.Now().boot >= deadline) return loop.Stop();
    timer = loop.AddTimer(clock.Now().boot + absl::Milliseconds(2), look);
  };
  look();
  loop.Run();
  loop.CancelTimer(timer);
  return held;
}

}  // namespace appsup::testing
