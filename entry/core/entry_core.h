#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "entry/core/catalog.h"
#include "entry/core/effect.h"
#include "entry/core/event.h"
#include "entry/core/options.h"

namespace appsup::entry {

// The control plane without I/O: (state, event, now) → effects. One thread calls it.
//
//   shell                          core
//     Handle(event)… ───────────▶  changes the tables; notes what is to be answered
//     Flush() ──────────────────▶  reconciles dirty apps and nodes, makes one transaction
//     ◀── Commit, …                what shows state is held until CommitDone reaches its index
//     Handle(CommitDone), Flush ▶
//     ◀── Reply, SendToAgent, …
//
// The shell handles all events that are waiting, then calls Flush once: that groups commits. Each
// event is applied whole or, if it is refused, not at all.
class EntryCore {
 public:
  // Begins a timeline (`timeline` is random) of a leadership `epoch` on what the store holds: its
  // first Flush commits it. Fails if a row cannot be read.
  static absl::StatusOr<std::unique_ptr<EntryCore>> Create(const CoreOptions& options,
                                                           const CatalogRows& rows, int64_t epoch,
                                                           const std::string& timeline,
                                                           const Moment& now);
  ~EntryCore();

  void Handle(Event event, const Moment& now);
  std::vector<Effect> Flush(const Moment& now);

  // For metrics and tests. Shows what may not be durable yet.
  const Catalog& catalog() const;

 private:
  struct State;
  explicit EntryCore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace appsup::entry
