#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "common/event_loop.h"

namespace appsup::entry {

// An event loop with a thread that runs it.
class LoopThread {
 public:
  static absl::StatusOr<std::unique_ptr<LoopThread>> Start() {
    absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create();
    if (!loop.ok()) return loop.status();
    return std::unique_ptr<LoopThread>(new LoopThread(std::move(*loop)));
  }
  ~LoopThread() { Join(); }

  EventLoop& loop() { return *loop_; }

  // Ends the thread after what was posted; what is posted later is never run. From another thread.
  void Join() {
    if (!thread_.joinable()) return;
    loop_->Stop();
    thread_.join();
  }

 private:
  explicit LoopThread(std::unique_ptr<EventLoop> loop)
      : loop_(std::move(loop)), thread_([this] { loop_->Run(); }) {}

  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace appsup::entry
