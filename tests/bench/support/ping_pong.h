#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "tests/bench/support/stream_client.h"

namespace appsup::bench {

// Streams that answer each message of a server at once, unless they are paused: then the answers
// are kept until they go on.
class PingPong {
 public:
  // The answer to the n-th message of a stream, from 0; empty: none.
  using Answer = std::function<std::string(int64_t n, const grpc::ByteBuffer& message)>;

  PingPong(const std::string& method, Answer answer)
      : answer_(std::move(answer)),
        client_(method, [this](size_t stream, const grpc::ByteBuffer& message) {
          OnMessage(stream, message);
        }) {}

  StreamClient& client() { return client_; }

  // One per stream, before Open.
  void Expect(size_t streams) { counts_.assign(streams, 0); }

  void Pause() {
    MutexLock lock(&mutex_);
    paused_ = true;
  }

  void Resume() {
    std::vector<std::pair<size_t, std::string>> held;
    {
      MutexLock lock(&mutex_);
      paused_ = false;
      held.swap(held_);
    }
    for (const auto& [stream, answer] : held) client_.Send(stream, ToBytes(answer));
  }

  size_t last_message_bytes() const { return last_message_bytes_; }
  size_t last_answer_bytes() const { return last_answer_bytes_; }

 private:
  void OnMessage(size_t stream, const grpc::ByteBuffer& message) {
    std::string answer = answer_(counts_[stream]++, message);
    if (answer.empty()) return;
    last_message_bytes_ = message.Length();
    last_answer_bytes_ = answer.size();
    {
      MutexLock lock(&mutex_);
      if (paused_) {
        held_.emplace_back(stream, std::move(answer));
        return;
      }
    }
    client_.Send(stream, ToBytes(answer));
  }

  const Answer answer_;
  std::vector<int64_t> counts_;  // Client's thread.
  std::atomic<size_t> last_message_bytes_ = 0;
  std::atomic<size_t> last_answer_bytes_ = 0;
  Mutex mutex_;
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::pair<size_t, std::string>> held_ ABSL_GUARDED_BY(mutex_);
  StreamClient client_;  // Last: its thread uses the others.
};

}  // namespace appsup::bench
