#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "appsupervisor/store/v1/record.pb.h"
#include "appsupervisor/v1/event_service.pb.h"
#include "entry/core/node_use.h"
#include "entry/core/table.h"
#include "entry/core/transaction.h"

namespace appsup::entry {

namespace rec = ::appsupervisor::store::v1;
namespace api = ::appsupervisor::v1;

// Rows of the store as they were read at the start.
struct CatalogRows {
  std::vector<RowChange> rows;  // `value` is always set.
  int64_t last_index = 0;       // Head of the change log; 0 in an empty store.
};

// A public resource of which a transaction has a change entry.
struct ChangedResource {
  std::string kind;  // "App".
  std::string name;
};

// The whole catalog in memory, with the indices that the core asks for, and the change log's next
// position. Every table change between two TakeTransaction calls ends up in one transaction, with a
// change entry per public resource whose view changed. Core thread only.
class Catalog {
 public:
  // Fails with DATA_LOSS if a row cannot be read, naming table and key.
  absl::Status Load(const CatalogRows& rows);

  Table<rec::ProjectRecord> projects;
  Table<rec::EnvironmentRecord> environments;
  Table<rec::NodeRecord> nodes;
  Table<rec::AppRecord> apps;
  Table<api::AppStatus> app_statuses;  // Key: name of the app.
  Table<rec::RevisionRecord> revisions;
  Table<rec::InstanceRecord> instances;
  Table<rec::OperationRecord> operations;
  Table<rec::RequestRecord> requests;
  Table<rec::TokenRecord> tokens;
  Table<rec::CatalogRecord> meta;  // One row, kMetaKey.

  static constexpr char kMetaKey[] = "catalog";

  // Public views: as GetX answers. The resource must exist.
  api::App AppView(const std::string& name) const;
  api::Environment EnvironmentView(const std::string& name) const;
  api::Node NodeView(const std::string& name) const;
  api::AppRevision RevisionView(const std::string& name) const;

  // Names of instances, in order. Kept up to date by AddInstance and RemoveInstance.
  const std::set<std::string>& InstancesOfApp(const std::string& app_name) const;
  const std::set<std::string>& InstancesOfNode(const std::string& node_name) const;  // "nodes/n".
  // Name of the instance with this uid, or "".
  const std::string& InstanceByUid(const std::string& uid) const;

  // What instances reserve on each node. Change a reservation by SetReservation (placement).
  NodeUse node_use;

  void AddInstance(rec::InstanceRecord record);
  void RemoveInstance(const std::string& name);

  // Adds to `operations` or takes from it, and counts. Not for use outside operation.cc and expiry.
  void AddOperation(rec::OperationRecord record);
  void EraseOperation(const std::string& name);
  // Operations per project id; "" holds those of nodes.
  const std::map<std::string, int64_t>& operation_counts() const { return operation_counts_; }

  // Forgets an app with its status, revisions and instances. Its operations stay.
  void EraseApp(const std::string& name);

  // Last index that was given out. What is in the tables may be shown once it is durable.
  int64_t last_index() const { return last_index_; }

  // The index that a change made now will have at the least.
  int64_t pending_index() const { return last_index_ + 1; }

  bool changed() const;

  // Everything since the last call. `actor` is put on the change entries whose record was written
  // by an operator; who wrote what is noted by SetActor. Call only if changed().
  Transaction TakeTransaction(absl::Time now);

  // What the last TakeTransaction made change entries of, in their order.
  const std::vector<ChangedResource>& last_changes() const { return last_changes_; }

  // From now until the next TakeTransaction, changes of this resource are this principal's.
  void SetActor(const std::string& resource_name, const std::string& actor);

 private:
  void Index(const rec::InstanceRecord& record);
  void DrainAll();

  int64_t last_index_ = 0;
  std::vector<ChangedResource> last_changes_;
  std::map<std::string, int64_t> operation_counts_;
  std::map<std::string, std::set<std::string>, std::less<>> instances_of_app_;
  std::map<std::string, std::set<std::string>, std::less<>> instances_of_node_;
  std::map<std::string, std::string, std::less<>> instance_by_uid_;
  std::map<std::string, std::string, std::less<>> actors_;
};

// "projects/p/apps/a/instances/i" → "projects/p/apps/a"; likewise for revisions.
std::string AppOf(const std::string& child_name);
// "projects/p/apps/a" → "projects/p".
std::string ProjectOf(const std::string& name);
// The last part of a name.
std::string IdOf(const std::string& name);
// The second part of a name: the project's id in "projects/p/…".
std::string ProjectIdOf(const std::string& name);

}  // namespace appsup::entry
