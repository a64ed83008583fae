#include "agent/log/log_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "common/status.h"

namespace appsup::agent {

absl::StatusOr<std::unique_ptr<LogWatch>> LogWatch::Create(EventLoop& loop) {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "inotify_init1");
  std::unique_ptr<LogWatch> watch(new LogWatch(loop, fd));
  RETURN_IF_ERROR(loop.Watch(fd, EPOLLIN, [self = watch.get()](uint32_t) { self->OnReadable(); }));
  return watch;
}

LogWatch::~LogWatch() {
  loop_.Unwatch(fd_);
  close(fd_);
}

absl::StatusOr<int> LogWatch::Add(const std::string& dir, bool writes, Callback callback) {
  const uint32_t mask = IN_CREATE | IN_ONLYDIR | (writes ? IN_MODIFY : IN_MOVED_TO);
  const int watch = inotify_add_watch(fd_, dir.c_str(), mask);
  if (watch < 0 && errno == ENOSPC) {
    return absl::ResourceExhaustedError("watch " + dir +
                                        ": the limit fs.inotify.max_user_watches is reached");
  }
  if (watch < 0) return ErrnoError(errno, "watch " + dir);
  callbacks_[watch] = std::move(callback);
  return watch;
}

void LogWatch::Remove(int watch) {
  // Fails where the folder is gone, and the watch with it.
  if (callbacks_.erase(watch) > 0) inotify_rm_watch(fd_, watch);
}

void LogWatch::OnReadable() {
  alignas(inotify_event) char buffer[16 << 10];
  const ssize_t got = read(fd_, buffer, sizeof(buffer));
  for (ssize_t at = 0; at < got;) {
    inotify_event event;
    std::memcpy(&event, buffer + at, sizeof(event));
    const char* name = buffer + at + sizeof(event);
    at += static_cast<ssize_t>(sizeof(event) + event.len);
    if (event.mask & IN_Q_OVERFLOW) {
      std::vector<int> all;
      for (const auto& [watch, unused] : callbacks_) all.push_back(watch);
      for (int watch : all) Dispatch(watch, "");
    } else if (event.mask & IN_IGNORED) {
      Dispatch(event.wd, "");
    } else {
      Dispatch(event.wd, event.len > 0 ? name : "");
    }
  }
}

void LogWatch::Dispatch(int watch, const std::string& name) {
  const auto found = callbacks_.find(watch);
  if (found == callbacks_.end()) return;
  const Callback callback = found->second;  // It may remove itself.
  callback(name);
}

}  // namespace appsup::agent
