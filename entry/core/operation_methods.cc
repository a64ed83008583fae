// OperationService.
#include <algorithm>
#include <utility>
#include <vector>

#include "appsupervisor/v1/operation_service.pb.h"
#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/app_methods.h"
#include "entry/core/dirty.h"
#include "entry/core/operation.h"
#include "entry/core/page.h"
#include "entry/core/resource_change.h"
#include "entry/core/revision.h"
#include "entry/core/waiters.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kDefaultWait = absl::Seconds(60);
constexpr absl::Duration kMaxWait = absl::Hours(1);

absl::StatusOr<const rec::OperationRecord*> Find(CallContext& context, const std::string& name) {
  const rec::OperationRecord* record = context.catalog.operations.Find(name);
  if (record != nullptr) return record;
  std::vector<std::string> ids;
  if (!MatchName("operations/*", name).has_value()) {
    RETURN_IF_ERROR(ParseName("name", "projects/*/operations/*", name, &ids));
  }
  return NotFound("Operation", name);
}

absl::StatusOr<api::Operation> GetOperation(CallContext& context,
                                            const api::GetOperationRequest& request) {
  ASSIGN_OR_RETURN(const rec::OperationRecord* record, Find(context, request.name()));
  return record->operation();
}

// Newest first: ids grow with time.
absl::StatusOr<api::ListOperationsResponse> ListOperations(
    CallContext& context, const api::ListOperationsRequest& request) {
  Violations violations;
  std::vector<std::string> ids;
  if (!request.parent().empty()) {
    violations.Add(ParseParent("parent", "projects/*", request.parent(), &ids));
  }
  ListQuery query(context, *api::Operation::descriptor(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  std::string prefix = "operations/";
  if (!ids.empty()) {
    if (ids[0] == "-") ids[0] = context.call.principal.project;
    prefix = ids[0].empty() ? "projects/" : "projects/" + ids[0] + "/operations/";
    if (!ids[0].empty() && context.catalog.projects.Find("projects/" + ids[0]) == nullptr) {
      return NotFound("Project", "projects/" + ids[0]);
    }
  }
  std::vector<std::pair<std::string, const api::Operation*>> found;  // Cursor of each.
  const auto& rows = context.catalog.operations.rows();
  for (auto row = rows.lower_bound(prefix); row != rows.end() && row->first.starts_with(prefix);
       ++row) {
    std::string cursor = IdOf(row->first) + " " + row->first;
    if (!query.cursor().empty() && cursor >= query.cursor()) continue;
    if (!query.filter().Matches(row->second.operation())) continue;
    found.emplace_back(std::move(cursor), &row->second.operation());
  }
  std::sort(found.rbegin(), found.rend());
  api::ListOperationsResponse response;
  const size_t size = std::min(query.size(), found.size());
  for (size_t at = 0; at < size; ++at) *response.add_operations() = *found[at].second;
  if (found.size() > size) response.set_next_page_token(query.NextToken(found[size - 1].first));
  return response;
}

absl::Status WaitOperation(CallContext& context, const api::WaitOperationRequest& request) {
  Violations violations;
  absl::Duration timeout = kDefaultWait;
  if (request.has_timeout()) {
    timeout = FromProtoDuration(request.timeout());
    if (timeout < absl::ZeroDuration() || timeout > kMaxWait) {
      violations.Add("timeout",
                     fmt::format("is {}; must be from 0 to 1h", absl::FormatDuration(timeout)));
    }
  }
  RETURN_IF_ERROR(violations.ToStatus());
  RETURN_IF_ERROR(Find(context, request.name()));
  context.waiters.operations.Wait(context.call.call, request.name(), context.now.boot + timeout);
  return absl::OkStatus();
}

absl::Status WatchOperation(CallContext& context, const api::WatchOperationRequest& request) {
  RETURN_IF_ERROR(Find(context, request.name()));
  if (static_cast<int>(context.waiters.operations.streams()) >= context.options.max_streams) {
    return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_STREAMS",
                     fmt::format("{} operations are being watched already; use WaitOperation",
                                 context.options.max_streams),
                     {{"limit", std::to_string(context.options.max_streams)}});
  }
  context.waiters.operations.Watch(context.call.call, request.name());
  return absl::OkStatus();
}

absl::Status CannotRollBack(const std::string& name) {
  return WrongState("CANNOT_ROLL_BACK", name,
                    "has nothing to go back to: only an UPDATE or ROLLBACK that made a revision, "
                    "and a DRAIN, can be undone");
}

bool IsDrain(const Catalog& catalog, const api::Operation& operation) {
  return operation.kind() == "DRAIN" && catalog.nodes.Find(operation.target()) != nullptr;
}

// The revision that a cancel with rollback returns to; nullptr if there is none.
const rec::RevisionRecord* RollbackOf(const Catalog& catalog, const rec::OperationRecord& record) {
  const std::string& target = record.operation().target();
  const rec::AppRecord* app = catalog.apps.Find(target);
  if (app == nullptr || app->app().has_delete_time()) return nullptr;
  return catalog.revisions.Find(RevisionName(target, record.rollback_revision()));
}

absl::Status CheckCancel(CallContext& context, const rec::OperationRecord& record, bool rollback) {
  if (!rollback) return absl::OkStatus();
  const std::string& name = record.operation().name();
  if (record.operation().done()) {
    return WrongState("OPERATION_DONE", name,
                      "is done; use RollbackApp to go back to an older revision");
  }
  if (!IsDrain(context.catalog, record.operation()) &&
      RollbackOf(context.catalog, record) == nullptr) {
    return CannotRollBack(name);
  }
  return absl::OkStatus();
}

// Undoes what the cancelled operation was for.
void Undo(CallContext& context, const std::string& name) {
  const rec::OperationRecord& record = *context.catalog.operations.Find(name);
  const std::string target = record.operation().target();
  if (IsDrain(context.catalog, record.operation())) {
    api::Node& node = *context.catalog.nodes.Mutate(target).mutable_node();
    node.set_desired(api::NODE_DESIRED_ACTIVE);
    MarkWritten(context, node);
    context.dirty.Node(target);
    return;
  }
  const rec::RevisionRecord revision = *RollbackOf(context.catalog, record);
  const std::string successor = RollBackTo(context, target, revision).name();
  context.catalog.operations.Mutate(name).mutable_operation()->set_superseded_by(successor);
}

absl::StatusOr<api::Operation> CancelOperation(CallContext& context,
                                               const api::CancelOperationRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::OperationRecord* record, Find(context, name));
  RETURN_IF_ERROR(CheckCancel(context, *record, request.rollback()));
  if (record->operation().done()) return record->operation();
  const std::string& actor = context.call.principal.name;
  FinishOperation(context.catalog, name,
                  MakeError(absl::StatusCode::kCancelled, "CANCELLED",
                            "Cancelled by " + actor +
                                (request.rollback() ? ", and undone." : "; the change stays."),
                            {{"actor", actor}}),
                  context.now);
  context.catalog.SetActor(name, actor);
  if (request.rollback()) Undo(context, name);
  return record->operation();
}

}  // namespace

void AddOperationMethods(MethodTable& table) {
  const std::string service = "appsupervisor.v1.OperationService/";
  table.AddUnary<api::GetOperationRequest>(service + "GetOperation", GetOperation);
  table.AddUnary<api::ListOperationsRequest>(service + "ListOperations", ListOperations);
  table.AddDeferred<api::WaitOperationRequest>(service + "WaitOperation", WaitOperation);
  table.AddStream<api::WatchOperationRequest>(service + "WatchOperation", WatchOperation);
  table.AddUnary<api::CancelOperationRequest>(service + "CancelOperation", CancelOperation);
}

}  // namespace appsup::entry
