#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "entry/core/transaction.h"

namespace appsup::entry {

// Several transactions as one write: the newest value per row, all change entries in order.
struct Batch {
  std::map<std::pair<std::string, std::string>, const std::optional<std::string>*> rows;
  std::vector<const ChangeEntry*> changes;
  int64_t head = 0;         // Index of the last transaction.
  int64_t trim_before = 0;  // 0: nothing to trim.
};

// Refers into `transactions`, which must outlive it. INTERNAL if the indices do not follow `head`.
absl::StatusOr<Batch> MakeBatch(const std::vector<Transaction>& transactions, int64_t head);

}  // namespace appsup::entry
