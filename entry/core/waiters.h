#pragma once

#include "entry/core/change_feed.h"
#include "entry/core/log_tails.h"
#include "entry/core/operation_waiters.h"

namespace appsup::entry {

// Calls that are answered later or by a stream. Core thread only.
class Waiters {
 public:
  Waiters(const CoreOptions& options, const Catalog& catalog)
      : feed(options, catalog), tails(options, catalog) {}

  OperationWaiters operations;  // WaitOperation, WatchOperation.
  ChangeFeed feed;              // WatchEvents.
  LogTails tails;               // TailLogs.

  void Writable(CallId call) {
    operations.Writable(call);
    feed.Writable(call);
    tails.Writable(call);
  }

  void Cancelled(CallId call, Sessions& sessions) {
    operations.Cancelled(call);
    feed.Cancelled(call);
    tails.Cancelled(call, sessions);
  }

  absl::Duration next_deadline() const {
    return std::min({operations.next_deadline(), feed.next_deadline(), tails.next_deadline()});
  }
};

}  // namespace appsup::entry
