// NodeService.
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "common/digest.h"
#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/app_validation.h"
#include "entry/core/dirty.h"
#include "entry/core/disconnect.h"
#include "entry/core/instance_facts.h"
#include "entry/core/operation.h"
#include "entry/core/page.h"
#include "entry/core/resource_change.h"
#include "entry/core/sessions.h"
#include "entry/core/update_mask.h"
#include "fmt/format.h"
#include "google/protobuf/empty.pb.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kDefaultTokenTtl = absl::Hours(1);
constexpr absl::Duration kMaxTokenTtl = absl::Hours(7 * 24);
constexpr size_t kMaxTokens = 10'000;
constexpr char kAllNodes[] = "nodes/-";

const std::set<std::string>& WritableFields() {
  static const auto& fields = *new std::set<std::string>{"labels", "schedulable"};
  return fields;
}

absl::StatusOr<const rec::NodeRecord*> Find(CallContext& context, const std::string& field,
                                            const std::string& name) {
  const rec::NodeRecord* record = context.catalog.nodes.Find(name);
  if (record != nullptr) return record;
  std::vector<std::string> ids;
  RETURN_IF_ERROR(ParseName(field, "nodes/*", name, &ids));
  return NotFound("Node", name);
}

// With what only the sessions know.
api::Node View(CallContext& context, const std::string& name) {
  api::Node view = context.catalog.NodeView(name);
  context.sessions.FillStatus(name, context.now, view.mutable_status());
  return view;
}

absl::StatusOr<api::Node> GetNode(CallContext& context, const api::GetNodeRequest& request) {
  RETURN_IF_ERROR(Find(context, "name", request.name()));
  return View(context, request.name());
}

absl::StatusOr<api::ListNodesResponse> ListNodes(CallContext& context,
                                                 const api::ListNodesRequest&) {
  Violations violations;
  ListQuery query(context, *api::Node::descriptor(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  api::ListNodesResponse response;
  response.set_next_page_token(ListRows(query, context.catalog.nodes.rows(), "nodes/",
                                        [&](const std::string& name, const rec::NodeRecord&) {
                                          api::Node view = View(context, name);
                                          if (!query.filter().Matches(view)) return false;
                                          *response.add_nodes() = std::move(view);
                                          return true;
                                        }));
  return response;
}

absl::StatusOr<api::Node> UpdateNode(CallContext& context, const api::UpdateNodeRequest& request) {
  const std::string& name = request.node().name();
  ASSIGN_OR_RETURN(const rec::NodeRecord* record, Find(context, "node.name", name));
  Violations violations;
  api::Node after = record->node();
  ApplyUpdateMask(request.update_mask(), request.node(), WritableFields(), &after, violations);
  ValidateLabels("node.labels", after.labels(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  RETURN_IF_ERROR(CheckEtag(request.node().etag(), record->node().etag(), name));
  MarkWritten(context, after);
  *context.catalog.nodes.Mutate(name).mutable_node() = std::move(after);
  context.dirty.Node(name);
  return View(context, name);
}

absl::Status CheckNotRevoked(const rec::NodeRecord& record) {
  if (!record.revoked()) return absl::OkStatus();
  return WrongState("NODE_REVOKED", record.node().name(),
                    "is revoked; delete it, or enrol the machine again");
}

api::Operation OperationNamed(CallContext& context, const std::string& name) {
  return context.catalog.operations.Find(name)->operation();
}

absl::StatusOr<api::Operation> DrainNode(CallContext& context,
                                         const api::DrainNodeRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::NodeRecord* record, Find(context, "name", name));
  RETURN_IF_ERROR(CheckNotRevoked(*record));
  NewOperation operation;
  operation.target = name;
  operation.kind = "DRAIN";
  operation.actor = context.call.principal.name;
  const bool wanted = record->node().desired() == api::NODE_DESIRED_DRAINED;
  if (wanted) {
    if (const auto* open = OpenOperation(context.catalog, name)) return open->operation();
    if (record->node().status().state() == api::NODE_STATE_DRAINED) {
      return OperationNamed(
          context, AddFinishedOperation(context.catalog, context.ids, operation, context.now));
    }
  } else {
    api::Node& node = *context.catalog.nodes.Mutate(name).mutable_node();
    node.set_desired(api::NODE_DESIRED_DRAINED);
    MarkWritten(context, node);
  }
  context.dirty.Node(name);
  return OperationNamed(context,
                        StartOperation(context.catalog, context.ids, operation, context.now));
}

absl::StatusOr<api::Node> ResumeNode(CallContext& context, const api::ResumeNodeRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::NodeRecord* record, Find(context, "name", name));
  RETURN_IF_ERROR(CheckNotRevoked(*record));
  if (record->node().desired() != api::NODE_DESIRED_DRAINED) return View(context, name);
  const std::string drain = record->drain_operation();
  FinishOperation(
      context.catalog, drain,
      MakeError(absl::StatusCode::kAborted, "RESUMED",
                "The drain was ended by ResumeNode of " + context.call.principal.name + ".",
                {{"actor", context.call.principal.name}}),
      context.now);
  api::Node& node = *context.catalog.nodes.Mutate(name).mutable_node();
  node.set_desired(api::NODE_DESIRED_ACTIVE);
  MarkWritten(context, node);
  context.dirty.Node(name);
  return View(context, name);
}

absl::StatusOr<api::Node> RevokeNode(CallContext& context, const api::RevokeNodeRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::NodeRecord* record, Find(context, "name", name));
  if (record->revoked()) return View(context, name);
  rec::NodeRecord& changed = context.catalog.nodes.Mutate(name);
  changed.set_revoked(true);
  changed.mutable_node()->mutable_status()->set_state(api::NODE_STATE_REVOKED);
  MarkWritten(context, *changed.mutable_node());
  context.sessions.Close(name, "The node was revoked; enrol the machine again.", true);
  context.dirty.Node(name);
  for (const std::string& instance : context.catalog.InstancesOfNode(name)) {
    context.dirty.App(AppOf(instance));
  }
  return View(context, name);
}

// An instance on the node that its fence has not ended yet; nullptr if there is none. Deleting the
// node would give its slot to another node.
const std::string* FencedUnderLease(const CallContext& context, const std::string& node) {
  const std::optional<absl::Duration> lost_since = context.sessions.LostSince(node);
  if (lost_since.has_value() && *lost_since + FenceMargin(context.options) <= context.now.boot) {
    return nullptr;
  }
  for (const std::string& name : context.catalog.InstancesOfNode(node)) {
    const rec::InstanceRecord& record = *context.catalog.instances.Find(name);
    if (record.fenced() && !HasEnded(record)) return &name;
  }
  return nullptr;
}

absl::StatusOr<google::protobuf::Empty> DeleteNode(CallContext& context,
                                                   const api::DeleteNodeRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::NodeRecord* record, Find(context, "name", name));
  RETURN_IF_ERROR(CheckEtag(request.etag(), record->node().etag(), name));
  const std::set<std::string> instances = context.catalog.InstancesOfNode(name);
  const api::NodeState state = record->node().status().state();
  const bool forsaken = record->revoked() || state == api::NODE_STATE_LOST;
  if (!instances.empty() && !forsaken) {
    return WrongState("NODE_IN_USE", name,
                      fmt::format("holds {} instances, such as {}; drain or revoke it first",
                                  instances.size(), *instances.begin()));
  }
  if (const std::string* fenced = FencedUnderLease(context, name); fenced != nullptr) {
    return WrongState(
        "NODE_LEASE_RUNS", name,
        fmt::format("may still run {}, which is fenced, until its lease has ended; try "
                    "again in {} s",
                    *fenced, absl::ToInt64Seconds(context.options.lease) + 1));
  }
  // Reconciling their apps forgets them, but for the marks of where data was: a slot with NODE data
  // must not be started on an empty folder elsewhere.
  for (const std::string& instance : instances) context.dirty.App(AppOf(instance));
  FinishOperation(context.catalog, record->drain_operation(),
                  MakeError(absl::StatusCode::kAborted, "NODE_DELETED",
                            name + " was deleted while it was drained.", {{"name", name}}),
                  context.now);
  context.sessions.Close(name, "The node was deleted; enrol the machine again.", true);
  context.sessions.Forget(name);
  context.catalog.SetActor(name, context.call.principal.name);
  context.catalog.nodes.Erase(name);
  return google::protobuf::Empty();
}

// The stream is ended so that the agent says Hello anew: only then can it be told all.
void AcceptFor(CallContext& context, const std::string& name) {
  rec::NodeRecord& record = context.catalog.nodes.Mutate(name);
  *record.mutable_accepted_position() = record.position();
  context.catalog.SetActor(name, context.call.principal.name);
  context.sessions.Close(name, "The catalog was accepted for the node; connect again.", false);
  context.dirty.Node(name);
}

bool AwaitsAcceptance(const rec::NodeRecord& record) {
  return !record.guard().empty() && !record.revoked();
}

absl::StatusOr<api::AcceptCatalogResponse> AcceptCatalog(CallContext& context,
                                                         const api::AcceptCatalogRequest& request) {
  api::AcceptCatalogResponse response;
  if (request.name() == kAllNodes) {
    for (const auto& [name, record] : context.catalog.nodes.rows()) {
      if (AwaitsAcceptance(record)) response.add_nodes(name);
    }
    if (response.nodes().empty()) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "NODE_NOT_GUARDED",
                       "No node is guarded; there is nothing to accept", {{"name", kAllNodes}});
    }
  } else {
    ASSIGN_OR_RETURN(const rec::NodeRecord* record, Find(context, "name", request.name()));
    RETURN_IF_ERROR(CheckNotRevoked(*record));
    if (!AwaitsAcceptance(*record)) {
      return WrongState("NODE_NOT_GUARDED", request.name(),
                        "is not guarded; there is nothing to accept");
    }
    response.add_nodes(request.name());
  }
  for (const std::string& name : response.nodes()) AcceptFor(context, name);
  return response;
}

absl::StatusOr<api::EnrollmentToken> CreateEnrollmentToken(
    CallContext& context, const api::CreateEnrollmentTokenRequest& request) {
  Violations violations;
  violations.Add(CheckId("environment", request.environment()));
  absl::Duration ttl = kDefaultTokenTtl;
  if (request.has_ttl()) {
    ttl = FromProtoDuration(request.ttl());
    if (ttl < absl::Seconds(1) || ttl > kMaxTokenTtl) {
      violations.Add("ttl",
                     fmt::format("is {}; must be from 1s to 168h", absl::FormatDuration(ttl)));
    }
  }
  RETURN_IF_ERROR(violations.ToStatus());
  const std::string environment = "environments/" + request.environment();
  if (context.catalog.environments.Find(environment) == nullptr) {
    return NotFound("Environment", environment);
  }
  if (context.catalog.tokens.rows().size() >= kMaxTokens) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, "TOO_MANY_TOKENS",
        fmt::format("{} join tokens are open already; wait until some expire", kMaxTokens),
        {{"limit", std::to_string(kMaxTokens)}});
  }
  api::EnrollmentToken token;
  token.set_token(absl::WebSafeBase64Escape(context.call.entropy));
  *token.mutable_expire_time() = ToTimestamp(context.now.wall + ttl);
  rec::TokenRecord record;
  record.set_environment(request.environment());
  *record.mutable_expire_time() = token.expire_time();
  record.set_actor(context.call.principal.name);
  context.catalog.tokens.Insert(Sha256Hex(token.token()), std::move(record));
  return token;
}

}  // namespace

void AddNodeMethods(MethodTable& table) {
  const std::string service = "appsupervisor.v1.NodeService/";
  table.AddUnary<api::GetNodeRequest>(service + "GetNode", GetNode);
  table.AddUnary<api::ListNodesRequest>(service + "ListNodes", ListNodes);
  table.AddUnary<api::UpdateNodeRequest>(service + "UpdateNode", UpdateNode);
  table.AddUnary<api::DrainNodeRequest>(service + "DrainNode", DrainNode);
  table.AddUnary<api::ResumeNodeRequest>(service + "ResumeNode", ResumeNode);
  table.AddUnary<api::RevokeNodeRequest>(service + "RevokeNode", RevokeNode);
  table.AddUnary<api::DeleteNodeRequest>(service + "DeleteNode", DeleteNode);
  table.AddUnary<api::AcceptCatalogRequest>(service + "AcceptCatalog", AcceptCatalog);
  table.AddUnary<api::CreateEnrollmentTokenRequest>(service + "CreateEnrollmentToken",
                                                    CreateEnrollmentToken);
}

}  // namespace appsup::entry
