#include "entry/store/batch.h"

#include <algorithm>

#include "fmt/format.h"

namespace appsup::entry {

absl::StatusOr<Batch> MakeBatch(const std::vector<Transaction>& transactions, int64_t head) {
  Batch batch;
  batch.head = head;
  for (const Transaction& transaction : transactions) {
    if (transaction.first_index != batch.head + 1 ||
        transaction.last_index < transaction.first_index) {
      return absl::InternalError(fmt::format("transaction {}..{} does not follow index {}",
                                             transaction.first_index, transaction.last_index,
                                             batch.head));
    }
    for (const RowChange& row : transaction.rows) batch.rows[{row.table, row.key}] = &row.value;
    for (const ChangeEntry& change : transaction.changes) batch.changes.push_back(&change);
    batch.head = transaction.last_index;
    batch.trim_before = std::max(batch.trim_before, transaction.trim_changes_before);
  }
  return batch;
}

}  // namespace appsup::entry
