#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/core/effect.h"
#include "agent/journal/journal.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace appsup::agent {

// Commits in groups: while one commit is on its way to the disk, the next ones gather, by key, so
// what waits is bounded by the number of rows. One thread of its own, which is the only user of the
// journal while this lives.
class JournalWriter {
 public:
  struct Callbacks {
    // On the writer's thread: they usually post to the loop.
    std::function<void(uint64_t through)> committed;
    std::function<void(const std::string& message)> stalled;  // And is tried again.
    std::function<void(const absl::Status& status)> failed;   // For good: nothing more is written.
  };

  // `journal` and `clock` outlive this.
  JournalWriter(Journal& journal, Clock& clock, Callbacks callbacks,
                absl::Duration retry_period = absl::Seconds(1));
  // Commits what is waiting, once, then ends the thread.
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  // Thread-safe. Indexes grow.
  void Append(WriteJournal write);

 private:
  void Run();
  // One commit of all that waits.
  void CommitWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Journal& journal_;
  Clock& clock_;
  const Callbacks callbacks_;
  const absl::Duration retry_period_;

  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stalled_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t index_ ABSL_GUARDED_BY(mutex_) = 0;  // Of the newest write that waits.
  std::map<std::pair<JournalTable, std::string>, std::optional<std::string>> waiting_
      ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace appsup::agent
