#pragma once

#include <cstdint>
#include <memory>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace appsup {

// The one thread that owns the state of a core. Everything else reaches it by Post.
//
//   Create -> Watch, AddTimer, Post ... -> Run (the caller becomes the loop thread) -> Stop
//
// Post, Stop and InLoopThread are thread-safe. All else: the loop thread, or any one thread before
// Run. Run may be called again after it returned. Callbacks may call everything, Unwatch and
// CancelTimer of themselves included. One round runs the ready fds, then due timers by deadline,
// then the tasks that were posted before the round, in order: neither kind can starve another.
// Callbacks and tasks that never ran are destroyed with the loop.
class EventLoop {
 public:
  using Task = absl::AnyInvocable<void()>;
  using IoCallback = absl::AnyInvocable<void(uint32_t events)>;  // EPOLLIN, EPOLLHUP ...
  using TimerId = uint64_t;                                      // Never 0, never used twice.

  // RESOURCE_EXHAUSTED or INTERNAL if the kernel gives no epoll, eventfd or timerfd.
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void Run();

  // Run returns at the end of its present or next round; before Run: after one round. Tasks that
  // the same thread posted before Stop have run by then.
  void Stop();

  // Wakes the loop once per batch of posts, not once per post.
  void Post(Task task);

  // Level-triggered. The loop does not own `fd`: Unwatch before it is closed. `events` as in
  // epoll_ctl(2). ALREADY_EXISTS for an fd that is watched, else what the kernel says.
  absl::Status Watch(int fd, uint32_t events, IoCallback callback);
  absl::Status Modify(int fd, uint32_t events);
  void Unwatch(int fd);  // Its callback does not run any more, not even in the present round.

  // Runs `task` once when CLOCK_BOOTTIME has reached `boot_deadline` (Moment::boot); a past one
  // runs in the next round. Timers also count the time a machine was suspended.
  TimerId AddTimer(absl::Duration boot_deadline, Task task);

  // False if it has run, was cancelled or never existed; then nothing happens.
  bool CancelTimer(TimerId id);

  bool InLoopThread() const;

 private:
  struct State;
  explicit EventLoop(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace appsup
