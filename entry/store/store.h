#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "entry/core/catalog.h"
#include "entry/core/transaction.h"

namespace appsup::entry {

// Makes the catalog durable: rows, and the change log. The entry's store thread is the only caller
// but for ReadChanges, which may be called on one other thread. All calls block.
//
// Every write begins with a check that the leader's epoch is still ours; if it is not, Commit fails
// with FAILED_PRECONDITION and nothing was written. After any other error the outcome of a commit
// is unknown: call Lead again and read the head.
class Store {
 public:
  virtual ~Store() = default;

  struct Leadership {
    int64_t epoch = 0;  // Higher than every one before.
    CatalogRows rows;
  };

  // Takes the leadership for `holder` and reads everything. Migrates an older schema first; refuses
  // a newer one with FAILED_PRECONDITION.
  virtual absl::StatusOr<Leadership> Lead(const std::string& holder) = 0;

  // Makes all of them durable, in order, in one store transaction.
  virtual absl::Status Commit(const std::vector<Transaction>& transactions) = 0;

  // Entries after `after_index` in order, at most `limit`. OUT_OF_RANGE if entries after it were
  // trimmed; the message names the oldest index.
  virtual absl::StatusOr<std::vector<ChangeEntry>> ReadChanges(int64_t after_index, int limit) = 0;
};

}  // namespace appsup::entry
