// Catalog::TakeTransaction: from the tables' changes to rows and change entries.
#include <map>
#include <string>
#include <utility>

#include "entry/core/catalog.h"
#include "entry/core/catalog_rows.h"
#include "entry/core/proto_time.h"
#include "entry/core/serialize.h"

namespace appsup::entry {
namespace {

// Makes change entries: one per resource whose public view differs.
class ChangeWriter {
 public:
  ChangeWriter(absl::Time now, const std::map<std::string, std::string, std::less<>>& actors,
               int64_t first_index, Transaction& transaction, std::vector<ChangedResource>& changed)
      : now_(ToTimestamp(now)),
        actors_(actors),
        next_index_(first_index),
        transaction_(transaction),
        changed_(changed) {}

  // nullptr: there was or is none.
  void Compare(const char* kind, const std::string& name, const google::protobuf::Message* before,
               const google::protobuf::Message* after) {
    if (before == nullptr && after == nullptr) return;
    std::string bytes = Serialize(after != nullptr ? *after : *before);
    if (before != nullptr && after != nullptr && Serialize(*before) == bytes) return;
    api::Event event;
    event.set_log_index(next_index_);
    *event.mutable_time() = now_;
    event.set_type(before == nullptr  ? api::EVENT_TYPE_CREATED
                   : after == nullptr ? api::EVENT_TYPE_DELETED
                                      : api::EVENT_TYPE_UPDATED);
    event.set_kind(kind);
    event.set_name(name);
    event.mutable_resource()->set_type_url("type.googleapis.com/appsupervisor.v1." +
                                           std::string(kind));
    event.mutable_resource()->set_value(std::move(bytes));
    if (auto actor = actors_.find(name); actor != actors_.end()) event.set_actor(actor->second);
    transaction_.changes.push_back({next_index_++, event.SerializeAsString()});
    changed_.push_back({kind, name});
  }

  // For tables whose records hold the public view.
  template <class Record, class View>
  void CompareAll(const char* kind, const Table<Record>& table, View view) {
    for (const auto& [name, before] : table.changes()) {
      const Record* after = table.Find(name);
      Compare(kind, name, before.has_value() ? view(*before) : nullptr,
              after != nullptr ? view(*after) : nullptr);
    }
  }

  int64_t next_index() const { return next_index_; }

 private:
  const google::protobuf::Timestamp now_;
  const std::map<std::string, std::string, std::less<>>& actors_;
  int64_t next_index_;
  Transaction& transaction_;
  std::vector<ChangedResource>& changed_;
};

api::App JoinedView(const rec::AppRecord& record, const api::AppStatus* status) {
  api::App view = record.app();
  if (status != nullptr) *view.mutable_status() = *status;
  return view;
}

// An app's view is made of two rows.
void CompareApps(const Catalog& catalog, ChangeWriter& writer) {
  std::set<std::string> names;
  for (const auto& [name, before] : catalog.apps.changes()) names.insert(name);
  for (const auto& [name, before] : catalog.app_statuses.changes()) names.insert(name);
  for (const std::string& name : names) {
    const rec::AppRecord* before = catalog.apps.Before(name);
    const rec::AppRecord* after = catalog.apps.Find(name);
    api::App before_view, after_view;
    if (before != nullptr) before_view = JoinedView(*before, catalog.app_statuses.Before(name));
    if (after != nullptr) after_view = JoinedView(*after, catalog.app_statuses.Find(name));
    writer.Compare("App", name, before != nullptr ? &before_view : nullptr,
                   after != nullptr ? &after_view : nullptr);
  }
}

void WriteRows(const Catalog& catalog, Transaction& transaction) {
  ForEachTable(catalog, [&](const char* table_name, const auto& table) {
    for (const auto& [key, before] : table.changes()) {
      const auto* after = table.Find(key);
      if (after == nullptr) {
        if (before.has_value()) transaction.rows.push_back({table_name, key, std::nullopt});
        continue;
      }
      std::string value = Serialize(*after);
      if (before.has_value() && Serialize(*before) == value) continue;
      transaction.rows.push_back({table_name, key, std::move(value)});
    }
  });
}

}  // namespace

bool Catalog::changed() const {
  bool changed = false;
  ForEachTable(*this,
               [&](const char*, const auto& table) { changed = changed || table.changed(); });
  return changed;
}

Transaction Catalog::TakeTransaction(absl::Time now) {
  Transaction transaction;
  transaction.first_index = last_index_ + 1;
  last_changes_.clear();
  WriteRows(*this, transaction);
  ChangeWriter writer(now, actors_, transaction.first_index, transaction, last_changes_);
  writer.CompareAll("Project", projects, [](const auto& record) { return &record.project(); });
  writer.CompareAll("Environment", environments,
                    [](const auto& record) { return &record.environment(); });
  writer.CompareAll("Node", nodes, [](const auto& record) { return &record.node(); });
  CompareApps(*this, writer);
  writer.CompareAll("AppRevision", revisions,
                    [](const auto& record) { return &record.revision(); });
  writer.CompareAll("Instance", instances, [](const auto& record) { return &record.instance(); });
  writer.CompareAll("Operation", operations,
                    [](const auto& record) { return &record.operation(); });
  transaction.last_index =
      transaction.changes.empty() ? transaction.first_index : writer.next_index() - 1;
  last_index_ = transaction.last_index;
  DrainAll();
  return transaction;
}

void Catalog::DrainAll() {
  ForEachTable(*this, [](const char*, auto& table) { table.Drain(); });
  actors_.clear();
}

}  // namespace appsup::entry
