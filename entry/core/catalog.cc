#include "entry/core/catalog.h"

#include <functional>
#include <utility>

#include "common/check.h"
#include "common/status.h"
#include "entry/core/brake.h"
#include "entry/core/catalog_rows.h"

namespace appsup::entry {
namespace {

const std::set<std::string>& NoNames() {
  static const std::set<std::string> none;
  return none;
}

const std::set<std::string>& NamesIn(
    const std::map<std::string, std::set<std::string>, std::less<>>& index,
    const std::string& key) {
  auto names = index.find(key);
  return names == index.end() ? NoNames() : names->second;
}

void EraseFrom(std::map<std::string, std::set<std::string>, std::less<>>& index,
               const std::string& key, const std::string& name) {
  auto names = index.find(key);
  if (names == index.end()) return;
  names->second.erase(name);
  if (names->second.empty()) index.erase(names);
}

std::string OperationProject(const std::string& name) {
  return name.starts_with("projects/") ? ProjectIdOf(name) : "";
}

void Add(const api::ResourceTotals& from, api::ResourceTotals* to) {
  to->set_cpu_millis(to->cpu_millis() + from.cpu_millis());
  to->set_memory_bytes(to->memory_bytes() + from.memory_bytes());
  to->set_pids(to->pids() + from.pids());
}

template <class Record>
absl::Status LoadRow(const RowChange& row, Table<Record>& table) {
  Record record;
  if (!row.value.has_value() || !record.ParseFromString(*row.value)) {
    return MakeError(absl::StatusCode::kDataLoss, "ROW_UNREADABLE",
                     "Row \"" + row.key + "\" of table " + row.table +
                         " cannot be read; restore the store from a backup.",
                     {{"table", row.table}, {"key", row.key}});
  }
  table.Load(row.key, std::move(record));
  return absl::OkStatus();
}

}  // namespace

absl::Status Catalog::Load(const CatalogRows& rows) {
  for (const RowChange& row : rows.rows) {
    absl::Status status = MakeError(absl::StatusCode::kDataLoss, "TABLE_UNKNOWN",
                                    "The store has a table \"" + row.table +
                                        "\" that this version does not know; use a newer version.",
                                    {{"table", row.table}});
    ForEachTable(*this, [&](const char* name, auto& table) {
      if (row.table == name) status = LoadRow(row, table);
    });
    if (!status.ok()) return status;
  }
  last_index_ = rows.last_index;
  for (const auto& [name, record] : instances.rows()) Index(record);
  for (const auto& [name, record] : operations.rows()) ++operation_counts_[OperationProject(name)];
  return absl::OkStatus();
}

api::App Catalog::AppView(const std::string& name) const {
  const rec::AppRecord* record = apps.Find(name);
  APPSUP_CHECK(record != nullptr);
  api::App view = record->app();
  if (const api::AppStatus* status = app_statuses.Find(name)) *view.mutable_status() = *status;
  return view;
}

api::Environment Catalog::EnvironmentView(const std::string& name) const {
  const rec::EnvironmentRecord* record = environments.Find(name);
  APPSUP_CHECK(record != nullptr);
  api::Environment view = record->environment();
  api::EnvironmentStatus& status = *view.mutable_status();
  const std::string id = IdOf(name);
  status.set_brake_engaged(record->brake_engaged());
  status.set_lost_nodes(CountLost(*this, id).lost);
  for (const auto& [node_name, node_record] : nodes.rows()) {
    const api::Node& node = node_record.node();
    if (node.environment() != id) continue;
    status.set_nodes(status.nodes() + 1);
    if (node.status().state() == api::NODE_STATE_READY) {
      status.set_ready_nodes(status.ready_nodes() + 1);
    }
    status.set_instances(status.instances() + node.status().instances());
    Add(node.status().capacity(), status.mutable_capacity());
    Add(node.status().allocated(), status.mutable_allocated());
  }
  return view;
}

api::Node Catalog::NodeView(const std::string& name) const {
  const rec::NodeRecord* record = nodes.Find(name);
  APPSUP_CHECK(record != nullptr);
  return record->node();
}

api::AppRevision Catalog::RevisionView(const std::string& name) const {
  const rec::RevisionRecord* record = revisions.Find(name);
  APPSUP_CHECK(record != nullptr);
  api::AppRevision view = record->revision();
  const rec::AppRecord* app = apps.Find(AppOf(name));
  if (app == nullptr || view.setup_key().empty()) return view;
  auto setup = app->setups().find(view.setup_key());
  if (setup != app->setups().end()) view.set_setup_state(setup->second.state());
  return view;
}

const std::set<std::string>& Catalog::InstancesOfApp(const std::string& app_name) const {
  return NamesIn(instances_of_app_, app_name);
}

const std::set<std::string>& Catalog::InstancesOfNode(const std::string& node_name) const {
  return NamesIn(instances_of_node_, node_name);
}

const std::string& Catalog::InstanceByUid(const std::string& uid) const {
  static const std::string none;
  auto name = instance_by_uid_.find(uid);
  return name == instance_by_uid_.end() ? none : name->second;
}

void Catalog::Index(const rec::InstanceRecord& record) {
  const api::Instance& instance = record.instance();
  instances_of_app_[AppOf(instance.name())].insert(instance.name());
  instances_of_node_["nodes/" + instance.node()].insert(instance.name());
  instance_by_uid_[instance.uid()] = instance.name();
  node_use.Add(record);
}

void Catalog::AddInstance(rec::InstanceRecord record) {
  Index(record);
  const std::string name = record.instance().name();
  instances.Insert(name, std::move(record));
}

void Catalog::RemoveInstance(const std::string& name) {
  const rec::InstanceRecord* record = instances.Find(name);
  APPSUP_CHECK(record != nullptr);
  EraseFrom(instances_of_app_, AppOf(name), name);
  EraseFrom(instances_of_node_, "nodes/" + record->instance().node(), name);
  instance_by_uid_.erase(record->instance().uid());
  node_use.Remove(*record);
  instances.Erase(name);
}

void Catalog::AddOperation(rec::OperationRecord record) {
  const std::string name = record.operation().name();
  ++operation_counts_[OperationProject(name)];
  operations.Insert(name, std::move(record));
}

void Catalog::EraseOperation(const std::string& name) {
  operations.Erase(name);
  auto count = operation_counts_.find(OperationProject(name));
  if (--count->second == 0) operation_counts_.erase(count);
}

void Catalog::EraseApp(const std::string& name) {
  for (const std::string& instance : std::set<std::string>(InstancesOfApp(name))) {
    RemoveInstance(instance);
  }
  const std::string prefix = name + "/revisions/";
  for (auto row = revisions.rows().lower_bound(prefix);
       row != revisions.rows().end() && row->first.starts_with(prefix);) {
    const std::string revision = (row++)->first;
    revisions.Erase(revision);
  }
  if (app_statuses.Find(name) != nullptr) app_statuses.Erase(name);
  apps.Erase(name);
}

void Catalog::SetActor(const std::string& resource_name, const std::string& actor) {
  actors_[resource_name] = actor;
}

std::string AppOf(const std::string& child_name) {
  size_t slash = 0;
  for (int part = 0; part < 4 && slash != std::string::npos; ++part) {
    slash = child_name.find('/', part == 0 ? 0 : slash + 1);
  }
  return child_name.substr(0, slash);
}

std::string ProjectOf(const std::string& name) {
  const size_t first = name.find('/');
  if (first == std::string::npos) return name;
  return name.substr(0, name.find('/', first + 1));
}

std::string IdOf(const std::string& name) {
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

std::string ProjectIdOf(const std::string& name) { return IdOf(ProjectOf(name)); }

}  // namespace appsup::entry
