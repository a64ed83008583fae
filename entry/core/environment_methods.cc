// EnvironmentService.
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "appsupervisor/v1/environment_service.pb.h"
#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/app_validation.h"
#include "entry/core/brake.h"
#include "entry/core/dirty.h"
#include "entry/core/page.h"
#include "entry/core/resource_change.h"
#include "entry/core/update_mask.h"
#include "fmt/format.h"
#include "google/protobuf/empty.pb.h"

namespace appsup::entry {
namespace {

constexpr size_t kMaxDisplayName = 200;
constexpr int kMaxAllowedProjects = 1000;

const std::set<std::string>& WritableFields() {
  static const auto& fields =
      *new std::set<std::string>{"display_name", "labels", "allowed_projects", "brake"};
  return fields;
}

void Validate(const api::Environment& environment, Violations& violations) {
  ValidateText("environment.display_name", environment.display_name(), kMaxDisplayName, violations);
  ValidateLabels("environment.labels", environment.labels(), violations);
  if (environment.allowed_projects_size() > kMaxAllowedProjects) {
    violations.Add("environment.allowed_projects",
                   fmt::format("names {} projects; at most {} are allowed",
                               environment.allowed_projects_size(), kMaxAllowedProjects));
  }
  if (const double share = environment.brake().share(); !(share >= 0 && share <= 1)) {
    violations.Add("environment.brake.share", fmt::format("is {}; must be from 0 to 1", share));
  }
  for (int at = 0; at < environment.allowed_projects_size(); ++at) {
    violations.Add(CheckId(fmt::format("environment.allowed_projects[{}]", at),
                           environment.allowed_projects(at)));
  }
}

absl::StatusOr<const rec::EnvironmentRecord*> Find(CallContext& context, const std::string& field,
                                                   const std::string& name) {
  const rec::EnvironmentRecord* record = context.catalog.environments.Find(name);
  if (record != nullptr) return record;
  std::vector<std::string> ids;
  RETURN_IF_ERROR(ParseName(field, "environments/*", name, &ids));
  return NotFound("Environment", name);
}

// `released` is the entry's own: only ReleaseBrake sets it.
void TakeBrake(const api::Environment& from, api::Environment& to) {
  const bool released = to.brake().released();
  to.clear_brake();
  if (from.brake().has_share()) to.mutable_brake()->set_share(from.brake().share());
  if (released) to.mutable_brake()->set_released(true);
}

// Where apps may run changed: each is looked at again. Rare.
void ReconcileAllApps(CallContext& context) {
  for (const auto& [name, record] : context.catalog.apps.rows()) context.dirty.App(name);
}

absl::StatusOr<api::Environment> CreateEnvironment(CallContext& context,
                                                   const api::CreateEnvironmentRequest& request) {
  Violations violations;
  violations.Add(CheckId("environment_id", request.environment_id()));
  Validate(request.environment(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  const std::string name = "environments/" + request.environment_id();
  if (context.catalog.environments.Find(name) != nullptr) {
    return AlreadyExists(name, "update it, or choose another environment_id");
  }
  rec::EnvironmentRecord record;
  api::Environment& environment = *record.mutable_environment();
  environment.set_display_name(request.environment().display_name());
  *environment.mutable_labels() = request.environment().labels();
  *environment.mutable_allowed_projects() = request.environment().allowed_projects();
  TakeBrake(request.environment(), environment);
  MarkCreated(context, name, environment);
  context.catalog.environments.Insert(name, std::move(record));
  ReconcileAllApps(context);
  return context.catalog.EnvironmentView(name);
}

absl::StatusOr<api::Environment> GetEnvironment(CallContext& context,
                                                const api::GetEnvironmentRequest& request) {
  RETURN_IF_ERROR(Find(context, "name", request.name()));
  return context.catalog.EnvironmentView(request.name());
}

absl::StatusOr<api::ListEnvironmentsResponse> ListEnvironments(
    CallContext& context, const api::ListEnvironmentsRequest&) {
  Violations violations;
  ListQuery query(context, *api::Environment::descriptor(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  api::ListEnvironmentsResponse response;
  response.set_next_page_token(
      ListRows(query, context.catalog.environments.rows(), "environments/",
               [&](const std::string& name, const rec::EnvironmentRecord&) {
                 api::Environment view = context.catalog.EnvironmentView(name);
                 if (!query.filter().Matches(view)) return false;
                 *response.add_environments() = std::move(view);
                 return true;
               }));
  return response;
}

absl::StatusOr<api::Environment> UpdateEnvironment(CallContext& context,
                                                   const api::UpdateEnvironmentRequest& request) {
  const std::string& name = request.environment().name();
  ASSIGN_OR_RETURN(const rec::EnvironmentRecord* record, Find(context, "environment.name", name));
  Violations violations;
  api::Environment after = record->environment();
  ApplyUpdateMask(request.update_mask(), request.environment(), WritableFields(), &after,
                  violations);
  Validate(after, violations);
  RETURN_IF_ERROR(violations.ToStatus());
  RETURN_IF_ERROR(CheckEtag(request.environment().etag(), record->environment().etag(), name));
  api::Environment kept = record->environment();
  TakeBrake(after, kept);
  *after.mutable_brake() = kept.brake();
  if (after.brake().ByteSizeLong() == 0) after.clear_brake();
  MarkWritten(context, after);
  *context.catalog.environments.Mutate(name).mutable_environment() = std::move(after);
  UpdateBrake(context.catalog, context.dirty, IdOf(name));
  ReconcileAllApps(context);
  return context.catalog.EnvironmentView(name);
}

// What still needs the environment, as a sentence; "" if nothing does.
std::string Users(const Catalog& catalog, const std::string& id) {
  for (const auto& [name, record] : catalog.nodes.rows()) {
    if (record.node().environment() == id) return "still has " + name + "; delete its nodes first";
  }
  for (const auto& [name, record] : catalog.apps.rows()) {
    const auto& named = record.app().spec().placement().environments();
    if (std::find(named.begin(), named.end(), id) != named.end()) {
      return "is named by " + name + "; change the placement of its apps first";
    }
  }
  for (const auto& [name, record] : catalog.instances.rows()) {
    if (record.instance().environment() == id)
      return "still holds " + name + "; wait until it is gone";
  }
  return "";
}

absl::StatusOr<google::protobuf::Empty> DeleteEnvironment(
    CallContext& context, const api::DeleteEnvironmentRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::EnvironmentRecord* record, Find(context, "name", name));
  RETURN_IF_ERROR(CheckEtag(request.etag(), record->environment().etag(), name));
  const std::string id = IdOf(name);
  if (std::string users = Users(context.catalog, id); !users.empty()) {
    return WrongState("ENVIRONMENT_IN_USE", name, users);
  }
  for (const auto& [key, token] : context.catalog.tokens.rows()) {
    if (token.environment() == id) {
      rec::TokenRecord& useless = context.catalog.tokens.Mutate(key);
      *useless.mutable_expire_time() = ToTimestamp(context.now.wall);
    }
  }
  context.catalog.SetActor(name, context.call.principal.name);
  context.catalog.environments.Erase(name);
  ReconcileAllApps(context);
  return google::protobuf::Empty();
}

absl::StatusOr<api::Environment> ReleaseBrake(CallContext& context,
                                              const api::ReleaseBrakeRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::EnvironmentRecord* record, Find(context, "name", name));
  if (!record->brake_engaged()) {
    return WrongState("BRAKE_NOT_ENGAGED", name,
                      "holds no replacements; there is nothing to release");
  }
  rec::EnvironmentRecord& changed = context.catalog.environments.Mutate(name);
  changed.mutable_environment()->mutable_brake()->set_released(true);
  context.catalog.SetActor(name, context.call.principal.name);
  UpdateBrake(context.catalog, context.dirty, IdOf(name));
  return context.catalog.EnvironmentView(name);
}

}  // namespace

void AddEnvironmentMethods(MethodTable& table) {
  const std::string service = "appsupervisor.v1.EnvironmentService/";
  table.AddUnary<api::CreateEnvironmentRequest>(service + "CreateEnvironment", CreateEnvironment);
  table.AddUnary<api::GetEnvironmentRequest>(service + "GetEnvironment", GetEnvironment);
  table.AddUnary<api::ListEnvironmentsRequest>(service + "ListEnvironments", ListEnvironments);
  table.AddUnary<api::UpdateEnvironmentRequest>(service + "UpdateEnvironment", UpdateEnvironment);
  table.AddUnary<api::DeleteEnvironmentRequest>(service + "DeleteEnvironment", DeleteEnvironment);
  table.AddUnary<api::ReleaseBrakeRequest>(service + "ReleaseBrake", ReleaseBrake);
}

}  // namespace appsup::entry
