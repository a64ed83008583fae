#include "tests/simulation/durable.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "appsupervisor/v1/event_service.pb.h"

namespace appsup::simulation {
namespace {

template <class Record>
void Put(const entry::RowChange& row, std::map<std::string, Record>& table) {
  if (row.value) {
    table[row.key].ParseFromString(*row.value);
  } else {
    table.erase(row.key);
  }
}

}  // namespace

absl::Status Durable::Apply(const entry::Transaction& transaction) {
  if (transaction.first_index != head_ + 1 || transaction.last_index < transaction.first_index) {
    return absl::InternalError(absl::StrCat("transaction ", transaction.first_index, "..",
                                            transaction.last_index, " does not follow ", head_));
  }
  for (const entry::RowChange& row : transaction.rows) ApplyRow(row);
  log_.insert(log_.end(), transaction.changes.begin(), transaction.changes.end());
  trimmed_ = std::max(trimmed_, transaction.trim_changes_before);
  for (; !log_.empty() && log_.front().index < trimmed_; log_.pop_front()) {
    api::Event event;
    event.ParseFromString(log_.front().event);
    gone_[log_.front().index] = event.name();
  }
  head_ = transaction.last_index;
  return absl::OkStatus();
}

void Durable::ApplyRow(const entry::RowChange& row) {
  if (row.value) {
    rows_[{row.table, row.key}] = *row.value;
  } else {
    rows_.erase({row.table, row.key});
  }
  if (row.table == "app") {
    Put(row, apps);
  } else if (row.table == "app_status") {
    Put(row, statuses);
  } else if (row.table == "instance") {
    if (const auto old = instances.find(row.key); old != instances.end() && !row.value) {
      instance_by_uid.erase(old->second.instance().uid());
    }
    Put(row, instances);
    if (row.value) instance_by_uid[instances[row.key].instance().uid()] = row.key;
  } else if (row.table == "revision") {
    Put(row, revisions);
  } else if (row.table == "node") {
    Put(row, nodes);
  } else if (row.table == "operation") {
    Put(row, operations);
  } else if (row.table == "environment") {
    Put(row, environments);
  } else if (row.table == "meta" && row.value) {
    meta.ParseFromString(*row.value);
  }
}

entry::CatalogRows Durable::Rows() const {
  entry::CatalogRows rows;
  rows.rows.reserve(rows_.size());
  for (const auto& [key, value] : rows_) rows.rows.push_back({key.first, key.second, value});
  rows.last_index = head_;
  return rows;
}

const entry::ChangeEntry* Durable::Entry(int64_t index) const {
  const auto it = std::lower_bound(
      log_.begin(), log_.end(), index,
      [](const entry::ChangeEntry& entry, int64_t wanted) { return entry.index < wanted; });
  return it == log_.end() || it->index != index ? nullptr : &*it;
}

absl::StatusOr<std::vector<entry::ChangeEntry>> Durable::Read(int64_t after, int limit) const {
  if (after + 1 < trimmed_) {
    return absl::OutOfRangeError(absl::StrCat("entries after ", after, " were trimmed"));
  }
  std::vector<entry::ChangeEntry> found;
  auto it = std::upper_bound(
      log_.begin(), log_.end(), after,
      [](int64_t index, const entry::ChangeEntry& entry) { return index < entry.index; });
  for (; it != log_.end() && static_cast<int>(found.size()) < limit; ++it) found.push_back(*it);
  return found;
}

}  // namespace appsup::simulation
