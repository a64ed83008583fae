#pragma once

#include <utility>
#include <vector>

#include "agent/journal/journal.h"

namespace appsup::agent {

// A journal that forgets with the process. `next_errors` fail the writes that follow, in order.
class MemoryJournal : public Journal {
 public:
  absl::StatusOr<JournalContents> Load() override { return contents_; }

  absl::Status Write(const std::vector<JournalPut>& rows) override {
    ++writes;
    if (!next_errors.empty()) {
      absl::Status error = next_errors.front();
      next_errors.erase(next_errors.begin());
      if (!error.ok()) return error;
    }
    for (const JournalPut& row : rows) {
      auto& table =
          row.table == JournalTable::kNode
              ? contents_.node
              : (row.table == JournalTable::kPort ? contents_.ports : contents_.instances);
      if (row.value) {
        table[row.key] = *row.value;
      } else {
        table.erase(row.key);
      }
    }
    return absl::OkStatus();
  }

  std::vector<absl::Status> next_errors;
  int writes = 0;

 private:
  JournalContents contents_;
};

}  // namespace appsup::agent
