#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/event_loop.h"

namespace appsup::agent {

// Tells when something in a folder changes, by inotify on the loop. Loop thread only.
class LogWatch {
 public:
  using Callback = std::function<void(const std::string& name)>;  // "": anything may have changed.

  static absl::StatusOr<std::unique_ptr<LogWatch>> Create(EventLoop& loop);
  ~LogWatch();
  LogWatch(const LogWatch&) = delete;
  LogWatch& operator=(const LogWatch&) = delete;

  // Files created in `dir`, and, with `writes`, written to. One watch per folder. NOT_FOUND if it
  // is absent, RESOURCE_EXHAUSTED at fs.inotify.max_user_watches. The callback may call both
  // functions.
  absl::StatusOr<int> Add(const std::string& dir, bool writes, Callback callback);
  void Remove(int watch);

 private:
  LogWatch(EventLoop& loop, int fd) : loop_(loop), fd_(fd) {}
  void OnReadable();
  void Dispatch(int watch, const std::string& name);

  EventLoop& loop_;
  const int fd_;
  std::map<int, Callback> callbacks_;
};

}  // namespace appsup::agent
