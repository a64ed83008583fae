// ProjectService.
#include <set>
#include <utility>
#include <vector>

#include "appsupervisor/v1/project_service.pb.h"
#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/app_validation.h"
#include "entry/core/page.h"
#include "entry/core/resource_change.h"
#include "entry/core/update_mask.h"
#include "google/protobuf/empty.pb.h"

namespace appsup::entry {
namespace {

constexpr size_t kMaxDisplayName = 200;
constexpr char kDefaultProject[] = "projects/default";

const std::set<std::string>& WritableFields() {
  static const auto& fields = *new std::set<std::string>{"display_name", "labels"};
  return fields;
}

void Validate(const api::Project& project, Violations& violations) {
  ValidateText("project.display_name", project.display_name(), kMaxDisplayName, violations);
  ValidateLabels("project.labels", project.labels(), violations);
}

absl::StatusOr<const rec::ProjectRecord*> Find(CallContext& context, const std::string& field,
                                               const std::string& name) {
  const rec::ProjectRecord* record = context.catalog.projects.Find(name);
  if (record != nullptr) return record;
  std::vector<std::string> ids;
  RETURN_IF_ERROR(ParseName(field, "projects/*", name, &ids));
  return NotFound("Project", name);
}

absl::StatusOr<api::Project> CreateProject(CallContext& context,
                                           const api::CreateProjectRequest& request) {
  Violations violations;
  violations.Add(CheckId("project_id", request.project_id()));
  Validate(request.project(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  const std::string name = "projects/" + request.project_id();
  if (context.catalog.projects.Find(name) != nullptr) {
    return AlreadyExists(name, "update it, or choose another project_id");
  }
  rec::ProjectRecord record;
  api::Project& project = *record.mutable_project();
  project.set_display_name(request.project().display_name());
  *project.mutable_labels() = request.project().labels();
  MarkCreated(context, name, project);
  return context.catalog.projects.Insert(name, std::move(record)).project();
}

absl::StatusOr<api::Project> GetProject(CallContext& context,
                                        const api::GetProjectRequest& request) {
  ASSIGN_OR_RETURN(const rec::ProjectRecord* record, Find(context, "name", request.name()));
  return record->project();
}

absl::StatusOr<api::ListProjectsResponse> ListProjects(CallContext& context,
                                                       const api::ListProjectsRequest&) {
  Violations violations;
  ListQuery query(context, *api::Project::descriptor(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  const std::string& only = context.call.principal.project;
  api::ListProjectsResponse response;
  response.set_next_page_token(
      ListRows(query, context.catalog.projects.rows(), "projects/",
               [&](const std::string& name, const rec::ProjectRecord& record) {
                 if (!only.empty() && IdOf(name) != only) return false;
                 if (!query.filter().Matches(record.project())) return false;
                 *response.add_projects() = record.project();
                 return true;
               }));
  return response;
}

absl::StatusOr<api::Project> UpdateProject(CallContext& context,
                                           const api::UpdateProjectRequest& request) {
  const std::string& name = request.project().name();
  ASSIGN_OR_RETURN(const rec::ProjectRecord* record, Find(context, "project.name", name));
  Violations violations;
  api::Project after = record->project();
  ApplyUpdateMask(request.update_mask(), request.project(), WritableFields(), &after, violations);
  Validate(after, violations);
  RETURN_IF_ERROR(violations.ToStatus());
  RETURN_IF_ERROR(CheckEtag(request.project().etag(), record->project().etag(), name));
  MarkWritten(context, after);
  *context.catalog.projects.Mutate(name).mutable_project() = after;
  return after;
}

absl::StatusOr<google::protobuf::Empty> DeleteProject(CallContext& context,
                                                      const api::DeleteProjectRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::ProjectRecord* record, Find(context, "name", name));
  RETURN_IF_ERROR(CheckEtag(request.etag(), record->project().etag(), name));
  if (name == kDefaultProject) {
    return WrongState("DEFAULT_PROJECT", name, "always exists and cannot be deleted");
  }
  const auto& apps = context.catalog.apps.rows();
  if (auto app = apps.lower_bound(name + "/apps/");
      app != apps.end() && app->first.starts_with(name + "/apps/")) {
    return WrongState("PROJECT_NOT_EMPTY", name,
                      "still has " + app->first +
                          (app->second.app().has_delete_time()
                               ? ", which is deleted but kept; delete it with `purge` first"
                               : "; delete its apps with `purge` first"));
  }
  const auto& operations = context.catalog.operations.rows();
  const std::string prefix = name + "/operations/";
  for (auto row = operations.lower_bound(prefix);
       row != operations.end() && row->first.starts_with(prefix);) {
    const std::string operation = (row++)->first;
    context.catalog.EraseOperation(operation);
  }
  context.catalog.SetActor(name, context.call.principal.name);
  context.catalog.projects.Erase(name);
  return google::protobuf::Empty();
}

}  // namespace

void AddProjectMethods(MethodTable& table) {
  const std::string service = "appsupervisor.v1.ProjectService/";
  table.AddUnary<api::CreateProjectRequest>(service + "CreateProject", CreateProject);
  table.AddUnary<api::GetProjectRequest>(service + "GetProject", GetProject);
  table.AddUnary<api::ListProjectsRequest>(service + "ListProjects", ListProjects);
  table.AddUnary<api::UpdateProjectRequest>(service + "UpdateProject", UpdateProject);
  table.AddUnary<api::DeleteProjectRequest>(service + "DeleteProject", DeleteProject);
}

}  // namespace appsup::entry
