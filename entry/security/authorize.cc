#include "entry/security/authorize.h"

#include "common/status.h"

namespace appsup::entry {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kPackage[] = "appsupervisor.v1.";

std::vector<MethodRule> MakeRules() {
  std::vector<MethodRule> rules;
  auto add = [&rules](const std::string& service, Role role, Scope scope,
                      std::initializer_list<const char*> methods) {
    for (const char* method : methods) {
      rules.push_back({kPackage + service + "/" + method, role, scope});
    }
  };
  add("AppService", Role::kViewer, Scope::kProject,
      {"GetApp", "ListApps", "GetAppRevision", "ListAppRevisions", "GetInstance", "ListInstances",
       "TailLogs"});
  add("AppService", Role::kDeployer, Scope::kProject,
      {"CreateApp", "UpdateApp", "DeleteApp", "UndeleteApp", "StartApp", "StopApp", "RestartApp",
       "ScaleApp", "RollbackApp", "RetrySetup", "AcceptSetup"});
  add("OperationService", Role::kViewer, Scope::kProject,
      {"GetOperation", "ListOperations", "WaitOperation", "WatchOperation"});
  add("OperationService", Role::kDeployer, Scope::kProject, {"CancelOperation"});
  add("EventService", Role::kViewer, Scope::kProject, {"WatchEvents"});
  add("ProjectService", Role::kViewer, Scope::kProject, {"GetProject"});
  add("ProjectService", Role::kViewer, Scope::kSystem, {"ListProjects"});
  add("ProjectService", Role::kOperator, Scope::kProject, {"UpdateProject"});
  add("ProjectService", Role::kAdmin, Scope::kSystem, {"CreateProject", "DeleteProject"});
  add("EnvironmentService", Role::kViewer, Scope::kShared, {"GetEnvironment", "ListEnvironments"});
  add("EnvironmentService", Role::kOperator, Scope::kSystem,
      {"CreateEnvironment", "UpdateEnvironment", "DeleteEnvironment", "ReleaseBrake"});
  add("NodeService", Role::kViewer, Scope::kSystem, {"GetNode", "ListNodes"});
  add("NodeService", Role::kOperator, Scope::kSystem,
      {"UpdateNode", "DrainNode", "ResumeNode", "AcceptCatalog"});
  add("NodeService", Role::kAdmin, Scope::kSystem,
      {"DeleteNode", "RevokeNode", "CreateEnrollmentToken"});
  add("ArtifactService", Role::kDeployer, Scope::kShared, {"UploadBlob", "GetBlob"});
  add("ArtifactService", Role::kOperator, Scope::kSystem, {"ListBlobs"});
  return rules;
}

const MethodRule* FindRule(const std::string& method) {
  for (const MethodRule& rule : MethodRules()) {
    if (rule.method == method) return &rule;
  }
  return nullptr;
}

// The value of a singular string field; "" if there is none of that name.
std::string Text(const Message& message, const std::string& field) {
  const FieldDescriptor* descriptor = message.GetDescriptor()->FindFieldByName(field);
  if (descriptor == nullptr || descriptor->is_repeated() ||
      descriptor->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
    return "";
  }
  return message.GetReflection()->GetString(message, descriptor);
}

bool IsBelow(const std::string& name, const std::string& project) {
  const std::string root = "projects/" + project;
  return name == root || name.compare(0, root.size() + 1, root + "/") == 0;
}

absl::Status Denied(const Principal& principal, const std::string& method, const std::string& why) {
  return MakeError(absl::StatusCode::kPermissionDenied, "PERMISSION_DENIED",
                   principal.name + " may not call " + method + ": " + why,
                   {{"principal", principal.name}, {"method", method}});
}

}  // namespace

const std::vector<MethodRule>& MethodRules() {
  static const std::vector<MethodRule>& rules = *new std::vector<MethodRule>(MakeRules());
  return rules;
}

std::string ResourceOf(const Message& request) {
  const Descriptor* type = request.GetDescriptor();
  if (type->FindFieldByName("parent") != nullptr) return Text(request, "parent");
  if (type->FindFieldByName("name") != nullptr) return Text(request, "name");
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const FieldDescriptor* name = field->message_type()->FindFieldByName("name");
    if (name == nullptr) continue;
    return Text(request.GetReflection()->GetMessage(request, field), "name");
  }
  return "";
}

absl::Status Authorize(const Principal& principal, const std::string& method,
                       const Message& request) {
  const MethodRule* rule = FindRule(method);
  if (rule == nullptr) return Denied(principal, method, "nobody may");
  if (principal.role < rule->role) {
    return Denied(principal, method,
                  "it takes the role " + RoleName(rule->role) + ", and this is a " +
                      RoleName(principal.role));
  }
  if (principal.project.empty() || rule->scope == Scope::kShared) return absl::OkStatus();
  if (rule->scope == Scope::kSystem) {
    return Denied(principal, method, "it is limited to projects/" + principal.project);
  }
  const std::string resource = ResourceOf(request);
  if (!IsBelow(resource, principal.project)) {
    return Denied(principal, method,
                  "it is limited to projects/" + principal.project + ", not \"" + resource + "\"");
  }
  return absl::OkStatus();
}

std::string RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kDeployer:
      return "deployer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
  }
  return "unknown";
}

}  // namespace appsup::entry
