#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/mutex.h"
#include "common/random.h"
#include "entry/core/core_port.h"
#include "entry/core/entry_core.h"
#include "entry/loop_thread.h"
#include "entry/store_thread.h"

namespace appsup::entry {

// The one thread that calls the core: handles all events that wait, flushes once, performs what
// comes out.
//
//   electing ──the store gave the leadership──▶ leading ──a commit failed──▶ electing …
//
// While electing there is no core: calls are answered UNAVAILABLE and agents sent away. What is
// posted before Start waits for it. Post and Inspect are thread-safe.
class CoreThread : public CorePort {
 public:
  // Told on the core thread; none may block.
  struct Shell {
    std::function<void(const Reply&)> reply;
    std::function<void(const StreamMessage&)> stream_message;
    std::function<void(const StreamEnd&)> stream_end;
    std::function<void(const SendToAgent&)> send_to_agent;
    std::function<void(const CloseAgent&)> close_agent;
    // A core leads now, or has just gone: then every call and stream that it had is to be ended.
    std::function<void()> leading;
    std::function<void(const absl::Status&)> gone;
    // Nothing can be done any more: the process should end.
    std::function<void(const absl::Status&)> fatal;
  };

  // `clock`, `random` and `metrics` outlive this.
  CoreThread(CoreOptions options, Clock& clock, Random& random, Metrics& metrics);
  ~CoreThread() override;  // Stops.

  // Once; begins to take the leadership.
  absl::Status Start(std::unique_ptr<Store> store, const std::string& holder, Shell shell);

  void Post(Event event, absl::AnyInvocable<void()> handled = nullptr) override;

  // Runs on the core thread with the core, or with nullptr while there is none; before Start and
  // after Stop at once, on this thread.
  void Inspect(std::function<void(const EntryCore*)> look);

  // What a call is answered while there is no core: UNAVAILABLE, with what the store said.
  // Thread-safe.
  absl::Status NotLeading() const;

  // Ends the thread, after the store made durable what was under way. No event is handled any more.
  void Stop();

 private:
  using Posted = std::pair<Event, absl::AnyInvocable<void()>>;

  StoreThread::Answers StoreAnswers();
  void HandleWaiting();
  void HandleWithoutCore(const Event& event);
  void Flush();
  void Perform(Effect effect);
  void SetTimerAt(absl::Duration boot);
  void Led(uint64_t term, absl::StatusOr<Store::Leadership> leadership);
  void Failed(uint64_t term, const absl::Status& status);
  void LeadAgain(const absl::Status& why);
  void SetTrouble(const absl::Status& trouble);

  CoreOptions options_;
  Clock& clock_;
  Random& random_;
  Metrics& metrics_;
  Shell shell_;
  std::unique_ptr<LoopThread> thread_;
  std::unique_ptr<StoreThread> store_;

  // Core thread only.
  std::unique_ptr<EntryCore> core_;
  uint64_t term_ = 1;
  uint32_t failures_ = 0;
  EventLoop::TimerId timer_ = 0;

  mutable Mutex mutex_;
  absl::Status trouble_ ABSL_GUARDED_BY(mutex_);  // Why there is no core, as far as it is known.
  bool running_ ABSL_GUARDED_BY(mutex_) = false;  // The thread is there.
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Posted> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace appsup::entry
