#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace appsup::entry {

// One row of the store: a serialised record of proto/appsupervisor/store/v1, or its removal.
struct RowChange {
  std::string table;
  std::string key;
  std::optional<std::string> value;  // nullopt removes the row.
};

// One entry of the change log: a serialised appsupervisor.v1.Event without resume_token.
struct ChangeEntry {
  int64_t index = 0;
  std::string event;
};

// What one Flush of the core changed; made durable as a whole or not at all. Indices follow one
// another without gaps: first_index is the predecessor's last_index + 1. A transaction without
// change entries still takes one index, so that order of commits and indices is the same.
struct Transaction {
  int64_t first_index = 0;
  int64_t last_index = 0;
  std::vector<RowChange> rows;
  std::vector<ChangeEntry> changes;
  int64_t trim_changes_before = 0;  // Entries below may be forgotten; 0: none.
};

}  // namespace appsup::entry
