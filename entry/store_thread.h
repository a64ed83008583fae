#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/metrics.h"
#include "common/mutex.h"
#include "entry/core/effect.h"
#include "entry/core/event.h"
#include "entry/loop_thread.h"
#include "entry/store/store.h"

namespace appsup::entry {

// Calls the store, which blocks, on a thread of its own: all transactions that wait are committed
// as one.
//
// A term begins with Lead and ends with the first commit that fails; what was given for an ended
// term is dropped. Answers come on that thread. Methods are thread-safe.
class StoreThread {
 public:
  struct Answers {
    std::function<void(uint64_t term, absl::StatusOr<Store::Leadership>)> led;
    std::function<void(uint64_t term, int64_t index)> committed;
    std::function<void(uint64_t term, const absl::Status&)> failed;
    std::function<void(ChangesRead)> changes_read;
  };

  static absl::StatusOr<std::unique_ptr<StoreThread>> Start(std::unique_ptr<Store> store,
                                                            std::string holder, Metrics& metrics,
                                                            Answers answers);
  ~StoreThread();  // After what was given to it before.

  // Takes the leadership after `delay`; `led` answers.
  void Lead(uint64_t term, absl::Duration delay);
  void Commit(uint64_t term, Transaction transaction);
  void Read(const ReadChanges& read);

 private:
  StoreThread(std::unique_ptr<Store> store, std::string holder, Metrics& metrics, Answers answers);

  void CommitWaiting();

  const std::unique_ptr<Store> store_;
  const std::string holder_;
  const Answers answers_;
  prometheus::Histogram& commit_seconds_;
  prometheus::Histogram& group_size_;
  uint64_t term_ = 0;  // Store thread only; 0: none.

  Mutex mutex_;
  std::vector<Transaction> waiting_ ABSL_GUARDED_BY(mutex_);
  uint64_t waiting_term_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<LoopThread> thread_;
};

}  // namespace appsup::entry
