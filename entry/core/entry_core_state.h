#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/commit_gate.h"
#include "common/random.h"
#include "entry/core/dirty.h"
#include "entry/core/entry_core.h"
#include "entry/core/housekeeping.h"
#include "entry/core/method_table.h"
#include "entry/core/request_log.h"
#include "entry/core/sessions.h"
#include "entry/core/waiters.h"

namespace appsup::entry {

// When things have to be reconciled again without news. Keyed: the newest time per name.
class Schedule {
 public:
  void Set(const std::string& name, absl::Duration at) {
    Remove(name);
    if (at == absl::InfiniteDuration()) return;
    at_[name] = at;
    order_.emplace(at, name);
  }

  void Remove(const std::string& name) {
    auto known = at_.find(name);
    if (known == at_.end()) return;
    order_.erase({known->second, name});
    at_.erase(known);
  }

  std::vector<std::string> TakeDue(absl::Duration now) {
    std::vector<std::string> due;
    while (!order_.empty() && order_.begin()->first <= now) {
      due.push_back(order_.begin()->second);
      Remove(due.back());
    }
    return due;
  }

  absl::Duration next() const {
    return order_.empty() ? absl::InfiniteDuration() : order_.begin()->first;
  }

 private:
  std::map<std::string, absl::Duration> at_;
  std::set<std::pair<absl::Duration, std::string>> order_;
};

struct EntryCore::State {
  State(const CoreOptions& core_options, uint64_t seed) : options(core_options), ids(seed) {}

  const CoreOptions options;
  SeededRandom ids;
  Catalog catalog;
  Dirty dirty;
  MethodTable methods;
  // These refer to the catalog as it was loaded.
  std::unique_ptr<Sessions> sessions;
  std::unique_ptr<RequestLog> requests;
  std::unique_ptr<Housekeeping> housekeeping;
  std::unique_ptr<Waiters> waiters;

  Schedule app_schedule;
  Schedule node_schedule;

  std::map<CallId, bool> open_calls;  // Not answered yet; true: answered by a stream.
  std::vector<Effect> replies;        // Of this round; they wait for Flush.
  CommitGate<Effect> gate;
  std::vector<Effect> ready;  // Released; performed at the next Flush.
  absl::Duration timer = absl::InfiniteDuration();  // As the shell knows it.
  bool failed = false;

  // Event handlers; entry_core.cc.
  void HandleCall(const ApiCall& call, const Moment& now);
  void Answer(const ApiCall& call, MethodResult result);
  void Fail(const absl::Status& status);
  void Release(int64_t durable_index);

  // Parts of Flush; entry_core_flush.cc.
  void Reconcile(const Moment& now);
  void TakeTransaction(const Moment& now, std::vector<Effect>& out);
  std::vector<Effect> CollectLogs(const Moment& now);
  void TellWaiters(const Moment& now, std::vector<Effect>& out);
  void SetTimerIfNeeded(const Moment& now, std::vector<Effect>& out);
  // Holds the effect until `index` is durable, or lets it pass if it is.
  void Show(int64_t index, Effect effect, std::vector<Effect>& out);
};

}  // namespace appsup::entry
