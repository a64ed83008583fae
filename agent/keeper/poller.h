#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// The keeper's one loop: epoll and one timerfd. A small sibling of common/event_loop.h, which needs
// threads and locks. Everything runs on the main thread; callbacks may watch, unwatch and set or
// cancel timers, their own included.
class Poller {
 public:
  using TimerId = std::pair<int64_t, uint64_t>;  // {0, 0} is none.

  absl::Status Open();

  // Level-triggered. `fd` stays the caller's: Unwatch before closing it.
  absl::Status Watch(int fd, uint32_t events, std::function<void()> callback);
  void Modify(int fd, uint32_t events);
  void Unwatch(int fd);

  TimerId At(int64_t boot_nanos, std::function<void()> callback);
  void Cancel(TimerId id);

  // One round: waits, then runs what is ready and due.
  absl::Status RunOnce();

 private:
  struct Watched {
    uint32_t generation;  // Tells a closed fd's late events from those of its successor.
    std::shared_ptr<std::function<void()>> callback;
  };

  void Arm();
  void RunDue();

  UniqueFd epoll_;
  UniqueFd timer_;
  int64_t armed_for_ = 0;
  uint32_t next_generation_ = 1;
  uint64_t next_timer_ = 1;
  std::unordered_map<int, Watched> watched_;
  std::map<TimerId, std::function<void()>> timers_;
};

}  // namespace appsup::keeper
