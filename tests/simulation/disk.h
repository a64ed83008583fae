#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "tests/simulation/durable.h"
#include "tests/simulation/observer.h"

namespace appsup::simulation {

class EntryHost;

// How a commit goes.
enum class CommitFault {
  kNone,
  kNotDone,    // An error, and nothing was written.
  kDone,       // An error, but it was written: nobody can know.
  kFsync,      // The disk cannot promise anything any more: the process ends. Nothing was written.
  kFsyncDone,  // The same, but it was written.
};

// The store that entries share, and how it behaves at the moment.
struct Disk {
  // Makes it durable, and tells of each row. Fails as the store would, with nothing written.
  absl::Status Apply(const entry::Transaction& transaction, int64_t epoch, Observer& observer);

  Durable durable;
  EntryHost* leader = nullptr;  // Who took the leadership last.
  CommitFault next = CommitFault::kNone;
  absl::Duration low = absl::Microseconds(300);
  absl::Duration high = absl::Milliseconds(4);
};

}  // namespace appsup::simulation
