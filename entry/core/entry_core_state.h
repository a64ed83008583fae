#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/commit_gate.h"
#include "common/random.h"
#include "entry/core/dirty.h"
#include "entry/core/entry_core.h"
#include "entry/core/housekeeping.h"
#include "entry/core/lease.h"
#include "entry/core/method_table.h"
#include "entry/core/patience.h"
#include "entry/core/request_log.h"
#include "entry/core/sessions.h"
#include "entry/core/waiters.h"

namespace appsup::entry {

struct EntryCore::State {
  State(const CoreOptions& core_options, uint64_t seed) : options(core_options), ids(seed) {}

  const CoreOptions options;
  SeededRandom ids;
  Catalog catalog;
  Dirty dirty;
  Patience patience;
  MethodTable methods;
  // These refer to the catalog as it was loaded.
  std::unique_ptr<Sessions> sessions;
  std::unique_ptr<RequestLog> requests;
  std::unique_ptr<Housekeeping> housekeeping;
  std::unique_ptr<Waiters> waiters;

  // When they have to be reconciled again without news.
  LeaseTable<std::string> app_schedule;
  LeaseTable<std::string> node_schedule;

  std::map<CallId, bool> open_calls;  // Not answered yet; true: answered by a stream.
  std::vector<Effect> replies;        // Of this round; they wait for Flush.
  CommitGate<Effect> gate;
  std::vector<Effect> ready;                        // Released; performed at the next Flush.
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
