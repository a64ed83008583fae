#pragma once

#include <map>
#include <set>
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

  // Marks the row as changed; it must exist.
  Record& Mutate(const std::string& name) {
    auto row = rows_.find(name);
    CHECK(row != rows_.end());
    changed_.emplace(name, false);
    return row->second;
  }

  // The row must not exist.
  Record& Insert(const std::string& name, Record record) {
    auto [row, inserted] = rows_.emplace(name, std::move(record));
    CHECK(inserted);
    changed_[name] = true;
    return row->second;
  }

  // The row must exist.
  void Erase(const std::string& name) {
    CHECK(rows_.erase(name) == 1);
    changed_.emplace(name, false);
  }

  // Puts in a row as it was read from the store: not a change.
  void Load(const std::string& name, Record record) { rows_[name] = std::move(record); }

  // Calls visit(name, record or nullptr if erased, created) for each changed row in order of name,
  // and forgets the changes. `created`: the row did not exist at the last Drain.
  template <class Visit>
  void Drain(Visit visit) {
    for (const auto& [name, created] : changed_) visit(name, Find(name), created);
    changed_.clear();
  }

  bool changed() const { return !changed_.empty(); }

 private:
  Rows rows_;
  std::map<std::string, bool> changed_;  // Name → inserted since the last Drain.
};

}  // namespace appsup::entry
