#include "common/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/check.h"
#include "common/mutex.h"
#include "common/status.h"
#include "fmt/format.h"

namespace appsup {
namespace {

constexpr int kMaxEventsPerRound = 64;
// Values of epoll_event.data.u64 for the loop's own descriptors; watches count up from above.
constexpr uint64_t kWakeTag = 1;
constexpr uint64_t kTimerTag = 2;
constexpr uint64_t kFirstWatchTag = 3;

absl::Duration BootNow() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

absl::Status EpollError(std::string_view act, int fd) {
  return ErrnoError(errno, fmt::format("{} fd {}", act, fd));
}

// Resets an eventfd or timerfd; that it had nothing to read is fine.
void DrainCounter(int fd) {
  uint64_t count = 0;
  if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR) {
    REPORT_BUG(fmt::format("read of a counter fd failed with errno {}", errno));
  }
}

}  // namespace

struct EventLoop::State {
  struct WatchedFd {
    int fd;
    IoCallback callback;
  };
  struct Timer {
    TimerId id;
    Task task;
  };
  using TimerQueue = std::multimap<absl::Duration, Timer>;

  ~State() {
    for (int fd : {epoll_fd, wake_fd, timer_fd}) {
      if (fd >= 0) close(fd);
    }
  }

  int epoll_fd = -1;
  int wake_fd = -1;
  int timer_fd = -1;
  std::atomic<std::thread::id> loop_thread{};

  // Loop thread only. A tag names one Watch call, so that an event fetched for an fd number that
  // was unwatched and reused within the round finds nothing.
  std::unordered_map<uint64_t, std::shared_ptr<WatchedFd>> watches;
  std::unordered_map<int, uint64_t> tag_of_fd;
  uint64_t next_tag = kFirstWatchTag;

  TimerQueue timers;
  std::unordered_map<TimerId, TimerQueue::iterator> timer_of_id;
  TimerId next_timer_id = 1;
  absl::Duration armed_for = absl::InfiniteDuration();  // What timer_fd is set to.

  Mutex mutex;
  std::vector<Task> posted ABSL_GUARDED_BY(mutex);
  bool wake_pending ABSL_GUARDED_BY(mutex) = false;  // wake_fd is written and not yet drained.
  bool stop ABSL_GUARDED_BY(mutex) = false;

  absl::Status Open();
  void Wake();
  void ArmTimer();
  void RunIo(const epoll_event& event);
  void RunDueTimers();
  bool RunPosted();
};

absl::Status EventLoop::State::Open() {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return ErrnoError(errno, "epoll_create1");
  wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return ErrnoError(errno, "eventfd");
  timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer_fd < 0) return ErrnoError(errno, "timerfd_create");
  for (auto [fd, tag] : {std::pair(wake_fd, kWakeTag), std::pair(timer_fd, kTimerTag)}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) return EpollError("watch", fd);
  }
  return absl::OkStatus();
}

void EventLoop::State::Wake() {
  const uint64_t one = 1;
  // EAGAIN: the counter is full, so the loop is awake anyway.
  if (write(wake_fd, &one, sizeof one) < 0 && errno != EAGAIN) {
    REPORT_BUG(fmt::format("write to the loop's eventfd failed with errno {}", errno));
  }
}

void EventLoop::State::ArmTimer() {
  absl::Duration next = timers.empty() ? absl::InfiniteDuration() : timers.begin()->first;
  if (next == armed_for) return;
  itimerspec spec{};
  if (next != absl::InfiniteDuration()) {
    // All zero would disarm; the first nanosecond after boot is past as well.
    spec.it_value = absl::ToTimespec(std::max(next, absl::Nanoseconds(1)));
  }
  APPSUP_CHECK(timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
  armed_for = next;
}

void EventLoop::State::RunIo(const epoll_event& event) {
  const uint64_t tag = event.data.u64;  // A copy: the structure is packed.
  if (tag == kWakeTag) return;          // RunPosted drains it, under the lock.
  if (tag == kTimerTag) {
    DrainCounter(timer_fd);
    armed_for = absl::InfiniteDuration();
    return;
  }
  auto found = watches.find(tag);
  if (found == watches.end()) return;
  // Kept alive should the callback unwatch itself.
  std::shared_ptr<WatchedFd> watch = found->second;
  watch->callback(event.events);
}

void EventLoop::State::RunDueTimers() {
  if (timers.empty()) return;
  // By id: a due timer may cancel another, and what it adds for the past waits for the next round,
  // or a task that always adds another would keep the loop here.
  std::vector<TimerId> due;
  const auto end = timers.upper_bound(BootNow());
  for (auto it = timers.begin(); it != end; ++it) due.push_back(it->second.id);
  for (TimerId id : due) {
    auto found = timer_of_id.find(id);
    if (found == timer_of_id.end()) continue;
    Task task = std::move(found->second->second.task);
    timers.erase(found->second);
    timer_of_id.erase(found);
    task();
  }
}

bool EventLoop::State::RunPosted() {
  std::vector<Task> batch;
  bool stop_after_batch = false;
  {
    MutexLock lock(&mutex);
    batch.swap(posted);
    if (wake_pending) DrainCounter(wake_fd);
    wake_pending = false;
    stop_after_batch = std::exchange(stop, false);
  }
  for (Task& task : batch) task();
  return !stop_after_batch;
}

EventLoop::EventLoop(std::unique_ptr<State> state) : state_(std::move(state)) {}
EventLoop::~EventLoop() = default;

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  auto state = std::make_unique<State>();
  RETURN_IF_ERROR(state->Open());
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(state)));
}

void EventLoop::Run() {
  State& state = *state_;
  state.loop_thread.store(std::this_thread::get_id());
  bool running = true;
  while (running) {
    state.ArmTimer();
    epoll_event events[kMaxEventsPerRound];
    int count = epoll_wait(state.epoll_fd, events, kMaxEventsPerRound, -1);
    APPSUP_CHECK(count >= 0 || errno == EINTR, "epoll_wait failed");
    for (int i = 0; i < count; ++i) state.RunIo(events[i]);
    state.RunDueTimers();
    running = state.RunPosted();
  }
  state.loop_thread.store(std::thread::id());
}

void EventLoop::Stop() {
  MutexLock lock(&state_->mutex);
  state_->stop = true;
  if (!std::exchange(state_->wake_pending, true)) state_->Wake();
}

void EventLoop::Post(Task task) {
  MutexLock lock(&state_->mutex);
  state_->posted.push_back(std::move(task));
  if (!std::exchange(state_->wake_pending, true)) state_->Wake();
}

absl::Status EventLoop::Watch(int fd, uint32_t events, IoCallback callback) {
  if (state_->tag_of_fd.contains(fd)) {
    return absl::AlreadyExistsError(fmt::format("fd {} is watched already", fd));
  }
  const uint64_t tag = state_->next_tag++;
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (epoll_ctl(state_->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) return EpollError("watch", fd);
  state_->tag_of_fd[fd] = tag;
  state_->watches[tag] =
      std::make_shared<State::WatchedFd>(State::WatchedFd{fd, std::move(callback)});
  return absl::OkStatus();
}

absl::Status EventLoop::Modify(int fd, uint32_t events) {
  auto found = state_->tag_of_fd.find(fd);
  if (found == state_->tag_of_fd.end()) {
    return absl::NotFoundError(fmt::format("fd {} is not watched", fd));
  }
  epoll_event event{};
  event.events = events;
  event.data.u64 = found->second;
  if (epoll_ctl(state_->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0) return EpollError("modify", fd);
  return absl::OkStatus();
}

void EventLoop::Unwatch(int fd) {
  auto found = state_->tag_of_fd.find(fd);
  if (found == state_->tag_of_fd.end()) return;
  if (epoll_ctl(state_->epoll_fd, EPOLL_CTL_DEL, fd, nullptr) != 0) {
    REPORT_BUG(fmt::format("fd {} was closed before it was unwatched, errno {}", fd, errno));
  }
  state_->watches.erase(found->second);
  state_->tag_of_fd.erase(found);
}

EventLoop::TimerId EventLoop::AddTimer(absl::Duration boot_deadline, Task task) {
  const TimerId id = state_->next_timer_id++;
  auto it = state_->timers.emplace(boot_deadline, State::Timer{id, std::move(task)});
  state_->timer_of_id[id] = it;
  return id;
}

bool EventLoop::CancelTimer(TimerId id) {
  auto found = state_->timer_of_id.find(id);
  if (found == state_->timer_of_id.end()) return false;
  // Destroyed last: what the task owns may call back into the loop.
  Task task = std::move(found->second->second.task);
  state_->timers.erase(found->second);
  state_->timer_of_id.erase(found);
  return true;
}

bool EventLoop::InLoopThread() const {
  return state_->loop_thread.load() == std::this_thread::get_id();
}

}  // namespace appsup
