#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/clock.h"
#include "entry/core/catalog.h"
#include "entry/core/dirty.h"
#include "entry/core/effect.h"
#include "entry/core/options.h"
#include "entry/core/request_log.h"
#include "entry/core/wall_clock.h"

namespace appsup::entry {

// Forgets what has been kept long enough: request ids, join tokens, operations, deleted apps and
// the change log's oldest entries. Once a minute. A jump of the wall clock destroys nothing: purge
// times of deleted apps are moved by as much, also when it was set while the entry was away from a
// machine that ran on; and nothing else is forgotten earlier for it. Core thread only.
class Housekeeping {
 public:
  // Compares the wall clock with how it stood when the entry last ran on this machine.
  Housekeeping(const CoreOptions& options, Catalog& catalog, Dirty& dirty, RequestLog& requests,
               const Moment& now);

  void Run(const Moment& now);

  // Operations above the limit of their project: as soon as there are any.
  void LimitOperations();

  // Entries of the change log below this index are not needed any more; 0: nothing new.
  int64_t TakeTrim() { return std::exchange(trim_before_, 0); }

  absl::Duration next_deadline() const { return next_; }

  // Lines for the log since the last call.
  std::vector<Note> TakeNotes() { return std::exchange(notes_, {}); }

 private:
  void FollowJump(absl::Duration jump, const Moment& now);
  void StampClock(const Moment& now);
  void ExpireTokens(absl::Time now);
  void ExpireOperations(absl::Time now);
  void ExpireApps(const Moment& now);
  void TrimLog(absl::Time now);

  const CoreOptions& options_;
  Catalog& catalog_;
  Dirty& dirty_;
  RequestLog& requests_;
  const absl::Duration started_;
  WallClock wall_clock_;
  std::vector<Note> notes_;
  absl::Duration next_ = -absl::InfiniteDuration();
  std::map<std::string, absl::Duration> purge_at_;  // Name of a deleted app → BOOTTIME.
  int64_t trim_before_ = 0;
};

}  // namespace appsup::entry
