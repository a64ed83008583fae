#pragma once

#include <map>
#include <string>

#include "absl/time/time.h"
#include "common/clock.h"
#include "entry/core/catalog.h"
#include "entry/core/dirty.h"
#include "entry/core/options.h"
#include "entry/core/request_log.h"

namespace appsup::entry {

// Forgets what has been kept long enough: request ids, join tokens, operations, deleted apps and
// the change log's oldest entries. Once a minute. Deleted apps are timed by BOOTTIME from when they
// were first seen, so that a jump of the wall clock destroys nothing. Core thread only.
class Housekeeping {
 public:
  Housekeeping(const CoreOptions& options, Catalog& catalog, Dirty& dirty, RequestLog& requests)
      : options_(options), catalog_(catalog), dirty_(dirty), requests_(requests) {}

  void Run(const Moment& now);

  // Operations above the limit of their project: as soon as there are any.
  void LimitOperations();

  // Entries of the change log below this index are not needed any more; 0: nothing new.
  int64_t TakeTrim() { return std::exchange(trim_before_, 0); }

  absl::Duration next_deadline() const { return next_; }

 private:
  void ExpireTokens(const Moment& now);
  void ExpireOperations(const Moment& now);
  void ExpireApps(const Moment& now);
  void TrimLog(const Moment& now);

  const CoreOptions& options_;
  Catalog& catalog_;
  Dirty& dirty_;
  RequestLog& requests_;
  absl::Duration next_ = -absl::InfiniteDuration();
  std::map<std::string, absl::Duration> purge_at_;  // Name of a deleted app → BOOTTIME.
  int64_t trim_before_ = 0;
};

}  // namespace appsup::entry
