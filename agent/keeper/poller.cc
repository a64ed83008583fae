#include "agent/keeper/poller.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>

#include "agent/keeper/clock.h"
#include "agent/keeper/errno_error.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace

absl::Status Poller::Open() {
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return SystemError(errno, "epoll_create1");
  timer_ = UniqueFd(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_.valid()) return SystemError(errno, "timerfd_create");
  // Reading re-arms nothing: Arm does, at the end of each round.
  return Watch(timer_.get(), EPOLLIN, [this] {
    uint64_t expirations;
    [[maybe_unused]] ssize_t ignored = read(timer_.get(), &expirations, sizeof(expirations));
    armed_for_ = 0;
  });
}

absl::Status Poller::Watch(int fd, uint32_t events, std::function<void()> callback) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = (uint64_t{next_generation_} << 32) | static_cast<uint32_t>(fd);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return SystemError(errno, "epoll_ctl");
  watched_[fd] = {next_generation_++, std::make_shared<std::function<void()>>(std::move(callback))};
  return absl::OkStatus();
}

void Poller::Modify(int fd, uint32_t events) {
  auto it = watched_.find(fd);
  if (it == watched_.end()) return;
  epoll_event event = {};
  event.events = events;
  event.data.u64 = (uint64_t{it->second.generation} << 32) | static_cast<uint32_t>(fd);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Poller::Unwatch(int fd) {
  if (watched_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Poller::TimerId Poller::At(int64_t boot_nanos, std::function<void()> callback) {
  TimerId id = {std::max<int64_t>(boot_nanos, 1), next_timer_++};
  timers_.emplace(id, std::move(callback));
  return id;
}

void Poller::Cancel(TimerId id) { timers_.erase(id); }

void Poller::Arm() {
  int64_t wanted = timers_.empty() ? 0 : timers_.begin()->first.first;
  if (wanted == armed_for_) return;
  itimerspec setting = {};
  setting.it_value.tv_sec = wanted / kNanosPerSecond;
  setting.it_value.tv_nsec = wanted % kNanosPerSecond;
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr);
  armed_for_ = wanted;
}

void Poller::RunDue() {
  int64_t now = BootNanos();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    std::function<void()> callback = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    callback();
  }
}

absl::Status Poller::RunOnce() {
  Arm();
  epoll_event events[64];
  int count = epoll_wait(epoll_.get(), events, 64, -1);
  if (count < 0 && errno != EINTR) return SystemError(errno, "epoll_wait");
  for (int i = 0; i < count; ++i) {
    auto it = watched_.find(static_cast<int>(events[i].data.u64 & 0xffffffffU));
    if (it == watched_.end() || it->second.generation != events[i].data.u64 >> 32) continue;
    std::shared_ptr<std::function<void()>> callback = it->second.callback;
    (*callback)();
  }
  RunDue();
  return absl::OkStatus();
}

}  // namespace appsup::keeper
