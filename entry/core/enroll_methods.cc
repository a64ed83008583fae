// LinkService.Enroll: from a join token to a node. The shell has taken the secret out of the token
// and signs the certificate; here is decided who may become which node.
#include <utility>
#include <vector>

#include "appsupervisor/v1/link.pb.h"
#include "common/digest.h"
#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/app_validation.h"
#include "entry/core/dirty.h"
#include "entry/core/resource_change.h"
#include "entry/core/sessions.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr size_t kMaxMachineId = 128;
constexpr char kNodePrincipal[] = "node:";

absl::Status BadToken() {
  return MakeError(absl::StatusCode::kPermissionDenied, "JOIN_TOKEN_INVALID",
                   "The join token is unknown, expired or was used for another machine; make a new "
                   "one with: appsup nodes token ENVIRONMENT");
}

absl::Status NodeIdTaken(const std::string& name, const std::string& why) {
  return MakeError(absl::StatusCode::kAlreadyExists, "NODE_ID_TAKEN",
                   fmt::format("{} {}", name, why), {{"node", name}});
}

api::EnrollResponse ResponseFor(const rec::NodeRecord& record) {
  api::EnrollResponse response;
  response.set_node(record.node().name());
  response.set_environment(record.node().environment());
  response.set_node_uid(record.node().uid());
  return response;
}

// A fresh certificate for who shows a certificate.
absl::StatusOr<api::EnrollResponse> Renew(CallContext& context) {
  const std::string& principal = context.call.principal.name;
  if (!principal.starts_with(kNodePrincipal)) return BadToken();
  const std::string name = "nodes/" + principal.substr(sizeof(kNodePrincipal) - 1);
  const rec::NodeRecord* record = context.catalog.nodes.Find(name);
  if (record == nullptr || record->revoked()) {
    return MakeError(absl::StatusCode::kPermissionDenied, "NODE_REVOKED",
                     "The certificate of " + name +
                         " is no longer accepted; enrol the machine again with a new join token",
                     {{"node", name}});
  }
  return ResponseFor(*record);
}

// Whether this machine may become the node of this name, which exists.
absl::Status CheckTakeOver(CallContext& context, const rec::NodeRecord& record,
                           const std::string& machine_id) {
  const std::string& name = record.node().name();
  if (record.machine_id() != machine_id) {
    return NodeIdTaken(name,
                       "belongs to another machine; choose another --node-id, or delete that "
                       "node first");
  }
  const api::NodeState state = record.node().status().state();
  const bool silent =
      record.revoked() || state == api::NODE_STATE_LOST || state == api::NODE_STATE_UNSPECIFIED;
  if (silent || !context.sessions.Connected(name)) return absl::OkStatus();
  return NodeIdTaken(name,
                     "is this machine's, and an agent of it is connected; stop that agent or "
                     "revoke the node first, or choose another --node-id");
}

// The node as a new member: a new uid, so that older certificates mean nothing.
void WriteNode(CallContext& context, const std::string& name, const std::string& environment,
               const api::EnrollRequest& request) {
  if (context.catalog.nodes.Find(name) == nullptr) {
    rec::NodeRecord fresh;
    fresh.mutable_node()->set_schedulable(true);
    fresh.mutable_node()->set_desired(api::NODE_DESIRED_ACTIVE);
    context.catalog.nodes.Insert(name, std::move(fresh));
  }
  rec::NodeRecord& record = context.catalog.nodes.Mutate(name);
  record.set_machine_id(request.machine_id());
  record.set_revoked(false);
  record.clear_session_secret_sha256();
  record.clear_kept_secret_sha256();
  record.clear_guard();  // Its first Hello tells.
  record.clear_accepted_position();
  api::Node& node = *record.mutable_node();
  node.set_environment(environment);
  for (const auto& [key, value] : request.labels()) (*node.mutable_labels())[key] = value;
  node.mutable_status()->set_state(api::NODE_STATE_UNSPECIFIED);
  MarkCreated(context, name, node);
  context.dirty.Node(name);
}

absl::Status Validate(const api::EnrollRequest& request) {
  Violations violations;
  violations.Add(CheckId("node_id", request.node_id()));
  if (request.machine_id().empty() || request.machine_id().size() > kMaxMachineId) {
    violations.Add("machine_id", "is required: at most 128 characters that name the machine");
  }
  ValidateLabels("labels", request.labels(), violations);
  return violations.ToStatus();
}

absl::StatusOr<api::EnrollResponse> Enroll(CallContext& context,
                                           const api::EnrollRequest& request) {
  if (request.join_token().empty()) return Renew(context);
  RETURN_IF_ERROR(Validate(request));
  const std::string key = Sha256Hex(request.join_token());
  const rec::TokenRecord* token = context.catalog.tokens.Find(key);
  if (token == nullptr || FromTimestamp(token->expire_time()) <= context.now.wall) {
    return BadToken();
  }
  const std::string name = "nodes/" + request.node_id();
  const rec::NodeRecord* existing = context.catalog.nodes.Find(name);
  if (!token->node().empty()) {
    // The answer was lost: the same machine asks for the same again.
    if (token->machine_id() != request.machine_id() || token->node() != name ||
        existing == nullptr || existing->machine_id() != request.machine_id() ||
        existing->revoked()) {
      return BadToken();
    }
    return ResponseFor(*existing);
  }
  const std::string environment = token->environment();
  if (context.catalog.environments.Find("environments/" + environment) == nullptr) {
    return BadToken();
  }
  if (existing != nullptr) {
    RETURN_IF_ERROR(CheckTakeOver(context, *existing, request.machine_id()));
    if (existing->node().environment() != environment &&
        !context.catalog.InstancesOfNode(name).empty()) {
      return NodeIdTaken(name, "holds instances of environment " + existing->node().environment() +
                                   "; delete it first, or choose another --node-id");
    }
    context.sessions.Close(name, "The machine was enrolled anew.", true);
  }
  WriteNode(context, name, environment, request);
  rec::TokenRecord& used = context.catalog.tokens.Mutate(key);
  used.set_node(name);
  used.set_machine_id(request.machine_id());
  return ResponseFor(*context.catalog.nodes.Find(name));
}

}  // namespace

void AddEnrollMethods(MethodTable& table) {
  table.AddUnary<api::EnrollRequest>("appsupervisor.v1.LinkService/Enroll", Enroll);
}

}  // namespace appsup::entry
