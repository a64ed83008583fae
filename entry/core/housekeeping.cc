#include "entry/core/housekeeping.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "entry/core/proto_time.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kPeriod = absl::Minutes(1);
constexpr absl::Duration kMarkPeriod = absl::Hours(1);

// "projects/p/operations/" or "operations/".
std::string OperationsOf(const std::string& project) {
  return project.empty() ? "operations/" : "projects/" + project + "/operations/";
}

}  // namespace

void Housekeeping::Run(const Moment& now) {
  if (now.boot < next_) return;
  next_ = now.boot + kPeriod;
  requests_.Expire(now);
  ExpireTokens(now);
  ExpireOperations(now);
  ExpireApps(now);
  TrimLog(now);
}

void Housekeeping::ExpireTokens(const Moment& now) {
  std::vector<std::string> expired;
  for (const auto& [key, record] : catalog_.tokens.rows()) {
    if (FromTimestamp(record.expire_time()) <= now.wall) expired.push_back(key);
  }
  for (const std::string& key : expired) catalog_.tokens.Erase(key);
}

// Names grow with age, so the oldest come first.
void Housekeeping::ExpireOperations(const Moment& now) {
  const std::map<std::string, int64_t> counts = catalog_.operation_counts();
  for (const auto& [project, count] : counts) {
    const std::string prefix = OperationsOf(project);
    const auto& rows = catalog_.operations.rows();
    for (auto row = rows.lower_bound(prefix);
         row != rows.end() && row->first.starts_with(prefix);) {
      const api::Operation& operation = (row++)->second.operation();
      if (!operation.done()) continue;
      if (FromTimestamp(operation.end_time()) + options_.operation_kept > now.wall) break;
      catalog_.EraseOperation(std::string(operation.name()));
    }
  }
}

void Housekeeping::LimitOperations() {
  if (!catalog_.operations.changed()) return;
  std::vector<std::pair<std::string, int64_t>> excesses;
  for (const auto& [project, count] : catalog_.operation_counts()) {
    const int64_t excess = count - options_.max_operations_per_project;
    if (excess > 0) excesses.emplace_back(OperationsOf(project), excess);
  }
  for (auto& [prefix, excess] : excesses) {
    const auto& rows = catalog_.operations.rows();
    for (auto row = rows.lower_bound(prefix);
         excess > 0 && row != rows.end() && row->first.starts_with(prefix);) {
      const api::Operation& operation = (row++)->second.operation();
      if (!operation.done()) continue;
      catalog_.EraseOperation(std::string(operation.name()));
      --excess;
    }
  }
}

void Housekeeping::ExpireApps(const Moment& now) {
  std::map<std::string, absl::Duration> purge_at;
  for (const auto& [name, record] : catalog_.apps.rows()) {
    if (!record.app().has_delete_time() || record.purge()) continue;
    auto known = purge_at_.find(name);
    purge_at[name] = known != purge_at_.end()
                         ? known->second
                         : now.boot + (FromTimestamp(record.app().purge_time()) - now.wall);
  }
  purge_at_ = std::move(purge_at);
  for (const auto& [name, at] : purge_at_) {
    if (at > now.boot) continue;
    catalog_.apps.Mutate(name).set_purge(true);
    dirty_.App(name);
  }
}

void Housekeeping::TrimLog(const Moment& now) {
  const rec::CatalogRecord* meta = catalog_.meta.Find(Catalog::kMetaKey);
  if (meta == nullptr) return;
  const auto& marks = meta->marks();
  const bool mark_due =
      marks.empty() || FromTimestamp(marks[marks.size() - 1].time()) + kMarkPeriod <= now.wall;
  const int64_t head = catalog_.last_index();
  if (mark_due && (marks.empty() || marks[marks.size() - 1].index() < head)) {
    rec::LogMark& mark = *catalog_.meta.Mutate(Catalog::kMetaKey).add_marks();
    *mark.mutable_time() = ToTimestamp(now.wall);
    mark.set_index(head);
  }
  int64_t oldest = std::max<int64_t>(meta->oldest_index(), 1);
  int aged = 0;
  while (aged < marks.size() &&
         FromTimestamp(marks[aged].time()) + options_.change_log_kept <= now.wall) {
    oldest = std::max(oldest, marks[aged++].index() + 1);
  }
  // In strides, so that the row with the history is not written for every few entries.
  const int64_t most = options_.max_change_log_entries;
  if (head - oldest >= most + most / 100) oldest = head - most + 1;
  if (oldest <= std::max<int64_t>(meta->oldest_index(), 1)) return;
  rec::CatalogRecord& changed = catalog_.meta.Mutate(Catalog::kMetaKey);
  changed.mutable_marks()->DeleteSubrange(0, aged);
  changed.set_oldest_index(oldest);
  trim_before_ = oldest;
}

}  // namespace appsup::entry
