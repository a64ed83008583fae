#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "entry/core/catalog.h"
#include "entry/core/transaction.h"

namespace appsup::entry {

// Makes the catalog durable: rows, and the change log. One thread at a time: the entry's store
// thread. All calls block.
//
// Every write begins with a check that the leader's epoch is still ours; if it is not, Commit fails
// with FAILED_PRECONDITION and nothing was written: this entry was deposed. After any other error
// the outcome of a commit is unknown: call Lead again and build anew on what it returns.
class Store {
 public:
  virtual ~Store() = default;

  struct Leadership {
    int64_t epoch = 0;  // Higher than every one before.
    CatalogRows rows;
  };

  // Takes the leadership for `holder` (a host and process, for people) and reads everything.
  // Reconnects if need be. Migrates an older schema first; refuses a newer one with
  // FAILED_PRECONDITION, and a catalog that another living entry leads with UNAVAILABLE.
  virtual absl::StatusOr<Leadership> Lead(const std::string& holder) = 0;

  // Makes all of them durable, in order, as one transaction of the database. Their indices follow
  // the head's without a gap; anything else is INTERNAL and nothing was written.
  virtual absl::Status Commit(const std::vector<Transaction>& transactions) = 0;

  // Entries after `after_index` in order, at most `limit`. OUT_OF_RANGE if entries after it were
  // trimmed; the message names the oldest index that is left.
  virtual absl::StatusOr<std::vector<ChangeEntry>> ReadChanges(int64_t after_index, int limit) = 0;
};

// An embedded store in one file, with its -wal beside it; made if missing, mode 0600. It is locked
// for as long as the store lives. An error of the disk ends in an error of Commit.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path);

// A store in a PostgreSQL database, in its own schema `appsup`. `conninfo` is libpq's: a URI or
// keywords. Connects at Lead.
std::unique_ptr<Store> MakePostgresStore(const std::string& conninfo);

}  // namespace appsup::entry
