#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "entry/core/catalog.h"
#include "entry/core/transaction.h"

namespace appsup::simulation {

namespace api = ::appsupervisor::v1;
namespace rec = ::appsupervisor::store::v1;

// What is on the entry's disk, and nothing else: the truth that the promises are measured by. The
// tables that they look at are kept as records, too.
class Durable {
 public:
  // A transaction whose indices do not follow is refused, like by the store.
  absl::Status Apply(const entry::Transaction& transaction);

  entry::CatalogRows Rows() const;
  absl::StatusOr<std::vector<entry::ChangeEntry>> Read(int64_t after, int limit) const;

  int64_t head() const { return head_; }
  const std::deque<entry::ChangeEntry>& log() const { return log_; }
  // nullptr: trimmed, or never written.
  const entry::ChangeEntry* Entry(int64_t index) const;
  // Entries that are gone: the changed resource by index.
  const std::map<int64_t, std::string>& trimmed() const { return gone_; }
  bool HasRow(const std::string& table, const std::string& key) const {
    return rows_.contains({table, key});
  }

  // Leadership: higher each time, and part of what a backup holds.
  int64_t TakeEpoch() { return ++epoch_; }
  int64_t epoch() const { return epoch_; }

  std::map<std::string, rec::AppRecord> apps;
  std::map<std::string, api::AppStatus> statuses;
  std::map<std::string, rec::InstanceRecord> instances;
  std::map<std::string, std::string> instance_by_uid;
  std::map<std::string, rec::RevisionRecord> revisions;
  std::map<std::string, rec::NodeRecord> nodes;
  std::map<std::string, rec::OperationRecord> operations;
  std::map<std::string, rec::EnvironmentRecord> environments;
  rec::CatalogRecord meta;

 private:
  void ApplyRow(const entry::RowChange& row);

  std::map<std::pair<std::string, std::string>, std::string> rows_;
  std::deque<entry::ChangeEntry> log_;
  int64_t head_ = 0;
  std::map<int64_t, std::string> gone_;
  int64_t trimmed_ = 0;  // Entries below are gone.
  int64_t epoch_ = 0;
};

}  // namespace appsup::simulation
