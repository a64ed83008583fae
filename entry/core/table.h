#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/check.h"

namespace appsup::entry {

// All rows of one kind, ordered by name, and which of them changed since the last Drain. The only
// way to change a record is Mutate, so that no change is ever forgotten by the transaction.
// Pointers stay valid until the row is erased. Core thread only.
template <class Record>
class Table {
 public:
  using Rows = std::map<std::string, Record, std::less<>>;

  const Rows& rows() const { return rows_; }

  // nullptr if there is none.
  const Record* Find(const std::string& name) const {
    auto row = rows_.find(name);
    return row == rows_.end() ? nullptr : &row->second;
  }

  // Marks the row as changed; it must exist. The first Mutate of a flush copies the row.
  Record& Mutate(const std::string& name) {
    auto row = rows_.find(name);
    APPSUP_CHECK(row != rows_.end());
    changed_.try_emplace(name, row->second);
    return row->second;
  }

  // The row must not exist.
  Record& Insert(const std::string& name, Record record) {
    auto [row, inserted] = rows_.emplace(name, std::move(record));
    APPSUP_CHECK(inserted);
    changed_.try_emplace(name, std::nullopt);
    return row->second;
  }

  // The row must exist.
  void Erase(const std::string& name) {
    auto row = rows_.find(name);
    APPSUP_CHECK(row != rows_.end());
    changed_.try_emplace(name, std::move(row->second));
    rows_.erase(row);
  }

  // Puts in a row as it was read from the store: not a change.
  void Load(const std::string& name, Record record) { rows_[name] = std::move(record); }

  // What the row was at the last Drain: itself if it did not change since, nullptr if it did not
  // exist then.
  const Record* Before(const std::string& name) const {
    auto change = changed_.find(name);
    if (change == changed_.end()) return Find(name);
    return change->second.has_value() ? &*change->second : nullptr;
  }

  using Changes = std::map<std::string, std::optional<Record>>;

  // Each row that was touched since the last Drain and what it was then (nothing: it did not
  // exist), in order of name.
  const Changes& changes() const { return changed_; }

  // Forgets the changes.
  void Drain() { changed_.clear(); }

  bool changed() const { return !changed_.empty(); }

 private:
  Rows rows_;
  Changes changed_;
};

}  // namespace appsup::entry
