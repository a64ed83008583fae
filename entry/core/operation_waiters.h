#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/clock.h"
#include "entry/core/catalog.h"
#include "entry/core/effect.h"
#include "entry/core/event.h"

namespace appsup::entry {

// Calls of WaitOperation and WatchOperation that are open. A slow reader of WatchOperation skips
// states in between: one message is under way, and the next is the newest. Core thread only.
class OperationWaiters {
 public:
  // Answered when the operation is done, or at `deadline` (BOOTTIME).
  void Wait(CallId call, const std::string& operation, absl::Duration deadline);
  void Watch(CallId call, const std::string& operation);

  void Writable(CallId call);
  void Cancelled(CallId call) { Forget(call); }
  void Changed(const std::string& operation);

  // What there is to say now; it rests on the catalog's last index.
  void Collect(const Catalog& catalog, const Moment& now, std::vector<Effect>& out);

  absl::Duration next_deadline() const;
  size_t streams() const { return streams_; }

 private:
  struct Waiter {
    std::string operation;
    bool stream = false;
    bool news = true;        // It changed since it was told.
    bool in_flight = false;  // A StreamMessage is being written.
    bool last_sent = false;  // The one that says `done`.
    absl::Duration deadline = absl::InfiniteDuration();
  };

  void Add(CallId call, Waiter waiter);
  void Forget(CallId call);
  // True if the call ended.
  bool Tell(CallId call, Waiter& waiter, const Catalog& catalog, const Moment& now,
            std::vector<Effect>& out);

  std::map<CallId, Waiter> waiters_;
  std::map<std::string, std::set<CallId>> by_operation_;
  std::set<std::pair<absl::Duration, CallId>> deadlines_;
  std::set<CallId> due_;  // To be looked at by the next Collect.
  size_t streams_ = 0;
};

}  // namespace appsup::entry
