#include "tests/simulation/disk.h"

#include <map>
#include <memory>
#include <string>

#include "common/status.h"

namespace appsup::simulation {
namespace {

// What a row was, and tells what it is.
template <class Record>
class Before {
 public:
  using Tell = void (Observer::*)(const Record*, const Record*);

  Before(const std::string& table, const std::map<std::string, Record>& rows, Tell tell)
      : table_(table), rows_(rows), tell_(tell) {}

  void Note(const entry::Transaction& transaction) {
    for (const entry::RowChange& row : transaction.rows) {
      if (row.table != table_) continue;
      const auto known = rows_.find(row.key);
      before_.emplace(row.key,
                      known == rows_.end() ? nullptr : std::make_unique<Record>(known->second));
    }
  }

  void TellAll(Observer& observer) {
    for (const auto& [key, before] : before_) {
      const auto after = rows_.find(key);
      (observer.*tell_)(before.get(), after == rows_.end() ? nullptr : &after->second);
    }
  }

 private:
  const std::string table_;
  const std::map<std::string, Record>& rows_;
  const Tell tell_;
  std::map<std::string, std::unique_ptr<Record>> before_;
};

}  // namespace

absl::Status Disk::Apply(const entry::Transaction& transaction, int64_t epoch, Observer& observer) {
  Before apps("app", durable.apps, &Observer::OnAppRow);
  Before instances("instance", durable.instances, &Observer::OnInstanceRow);
  Before operations("operation", durable.operations, &Observer::OnOperationRow);
  apps.Note(transaction);
  instances.Note(transaction);
  operations.Note(transaction);
  RETURN_IF_ERROR(durable.Apply(transaction));
  apps.TellAll(observer);
  instances.TellAll(observer);
  operations.TellAll(observer);
  observer.OnCommitted(transaction, epoch);
  return absl::OkStatus();
}

}  // namespace appsup::simulation
