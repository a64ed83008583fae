// AppService: create, read, update, delete; the verbs are in app_verbs.cc.
#include "entry/core/app_methods.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/app_change.h"
#include "entry/core/app_validation.h"
#include "entry/core/order_by.h"
#include "entry/core/page.h"
#include "entry/core/resource_change.h"
#include "entry/core/update_mask.h"
#include "entry/core/violations.h"

namespace appsup::entry {
namespace {

absl::StatusOr<api::Operation> CreateNamed(CallContext& context, const std::string& name,
                                           const api::App& app, bool validate_only) {
  const std::string project = ProjectOf(name);
  if (context.catalog.projects.Find(project) == nullptr) return NotFound("Project", project);
  if (const rec::AppRecord* existing = context.catalog.apps.Find(name)) {
    return AlreadyExists(
        name,
        existing->app().has_delete_time()
            ? "it is deleted: undelete it, or delete it with `purge` and wait until it is gone"
            : "update it, or choose another app_id");
  }
  if (!validate_only) return InsertApp(context, name, app);
  api::App would_be = app;
  would_be.set_name(name);
  return ValidatedOperation(context, would_be, "CREATE");
}

absl::StatusOr<api::Operation> CreateApp(CallContext& context,
                                         const api::CreateAppRequest& request) {
  Violations violations;
  std::vector<std::string> ids;
  violations.Add(ParseName("parent", "projects/*", request.parent(), &ids));
  violations.Add(CheckId("app_id", request.app_id()));
  ValidateApp("app", request.app(), violations);
  if (!ids.empty()) {
    ValidatePlacement(context.catalog, "app", request.app(), ids[0], violations);
  }
  RETURN_IF_ERROR(violations.ToStatus());
  return CreateNamed(context, request.parent() + "/apps/" + request.app_id(), request.app(),
                     request.validate_only());
}

absl::StatusOr<api::App> GetApp(CallContext& context, const api::GetAppRequest& request) {
  RETURN_IF_ERROR(FindApp(context, request.name()));
  return context.catalog.AppView(request.name());
}

// What the app would be after this update.
api::App Updated(const api::App& before, const api::UpdateAppRequest& request,
                 Violations& violations) {
  api::App after = before;
  ApplyUpdateMask(request.update_mask(), request.app(), WritableAppFields(), &after, violations);
  // Only ever raised.
  after.mutable_spec()->set_restart_nonce(
      std::max(before.spec().restart_nonce(), after.spec().restart_nonce()));
  ValidateApp("app", after, violations);
  return after;
}

absl::StatusOr<api::Operation> UpdateApp(CallContext& context,
                                         const api::UpdateAppRequest& request) {
  const std::string& name = request.app().name();
  Violations violations;
  std::vector<std::string> ids;
  violations.Add(ParseName("app.name", "projects/*/apps/*", name, &ids));
  const rec::AppRecord* record = context.catalog.apps.Find(name);
  const bool missing = record == nullptr && request.allow_missing();
  if (record == nullptr && !missing && !ids.empty()) return NotFound("App", name);
  api::App after = request.app();  // As it is created: without a mask.
  if (missing) {
    ValidateApp("app", after, violations);
  } else {
    after = Updated(record == nullptr ? api::App() : record->app(), request, violations);
  }
  if (!ids.empty()) ValidatePlacement(context.catalog, "app", after, ids[0], violations);
  RETURN_IF_ERROR(violations.ToStatus());
  if (missing) return CreateNamed(context, name, after, request.validate_only());
  RETURN_IF_ERROR(CheckNotDeleted(*record));
  RETURN_IF_ERROR(CheckEtag(request.app().etag(), record->app().etag(), name));
  if (request.validate_only()) return ValidatedOperation(context, after, "UPDATE");
  return WriteApp(context, after, "UPDATE");
}

absl::StatusOr<api::Operation> DeleteApp(CallContext& context,
                                         const api::DeleteAppRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::AppRecord* record, FindApp(context, name));
  RETURN_IF_ERROR(CheckEtag(request.etag(), record->app().etag(), name));
  const bool deleted = record->app().has_delete_time();
  if (deleted && (record->purge() || !request.purge())) {
    if (const auto* open = context.catalog.operations.Find(record->operation())) {
      return open->operation();
    }
    return FinishedAppOperation(context, name, "DELETE");
  }
  rec::AppRecord& changed = context.catalog.apps.Mutate(name);
  api::App& app = *changed.mutable_app();
  if (!deleted) *app.mutable_delete_time() = ToTimestamp(context.now.wall);
  const absl::Duration kept =
      request.purge() ? absl::ZeroDuration() : context.options.deleted_app_kept;
  *app.mutable_purge_time() = ToTimestamp(context.now.wall + kept);
  changed.set_purge(request.purge());
  MarkWritten(context, app);
  return OpenAppOperation(context, name, "DELETE");
}

absl::StatusOr<api::Operation> UndeleteApp(CallContext& context,
                                           const api::UndeleteAppRequest& request) {
  const std::string& name = request.name();
  ASSIGN_OR_RETURN(const rec::AppRecord* record, FindApp(context, name));
  if (!record->app().has_delete_time()) {
    return WrongState("APP_NOT_DELETED", name, "is not deleted; there is nothing to bring back");
  }
  if (record->purge()) return CheckNotDeleted(*record);
  api::App& app = *context.catalog.apps.Mutate(name).mutable_app();
  app.clear_delete_time();
  app.clear_purge_time();
  MarkWritten(context, app);
  return OpenAppOperation(context, name, "UNDELETE");
}

// In an order other than that of names: all that match are looked at.
void ListSorted(const CallContext& context, const ListQuery& query, const OrderBy& order,
                const std::string& prefix, bool show_deleted, api::ListAppsResponse& response) {
  std::vector<std::pair<std::string, std::string>> found;  // Sort key and name; name.
  const auto& rows = context.catalog.apps.rows();
  for (auto row = rows.lower_bound(prefix); row != rows.end() && row->first.starts_with(prefix);
       ++row) {
    if (row->second.app().has_delete_time() && !show_deleted) continue;
    const api::App view = context.catalog.AppView(row->first);
    if (!query.filter().Matches(view)) continue;
    std::string key = order.KeyOf(view) + row->first;
    if (key > query.cursor()) found.emplace_back(std::move(key), row->first);
  }
  const size_t size = std::min(query.size(), found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(size), found.end());
  for (size_t at = 0; at < size; ++at) {
    *response.add_apps() = context.catalog.AppView(found[at].second);
  }
  if (found.size() > size) response.set_next_page_token(query.NextToken(found[size - 1].first));
}

absl::StatusOr<api::ListAppsResponse> ListApps(CallContext& context,
                                               const api::ListAppsRequest& request) {
  Violations violations;
  std::vector<std::string> ids;
  violations.Add(ParseParent("parent", "projects/*", request.parent(), &ids));
  ListQuery query(context, *api::App::descriptor(), violations);
  OrderBy order(request.order_by(), *api::App::descriptor(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  if (ids[0] == "-" && !context.call.principal.project.empty()) {
    ids[0] = context.call.principal.project;
  }
  if (ids[0] != "-" && context.catalog.projects.Find("projects/" + ids[0]) == nullptr) {
    return NotFound("Project", "projects/" + ids[0]);
  }
  const std::string prefix = ids[0] == "-" ? "projects/" : "projects/" + ids[0] + "/apps/";
  api::ListAppsResponse response;
  if (!order.by_name()) {
    ListSorted(context, query, order, prefix, request.show_deleted(), response);
    return response;
  }
  response.set_next_page_token(ListRows(query, context.catalog.apps.rows(), prefix,
                                        [&](const std::string& name, const rec::AppRecord& record) {
                                          if (record.app().has_delete_time() &&
                                              !request.show_deleted())
                                            return false;
                                          api::App view = context.catalog.AppView(name);
                                          if (!query.filter().Matches(view)) return false;
                                          *response.add_apps() = std::move(view);
                                          return true;
                                        }));
  return response;
}

}  // namespace

void AddAppMethods(MethodTable& table) {
  const std::string service = "appsupervisor.v1.AppService/";
  table.AddUnary<api::CreateAppRequest>(service + "CreateApp", CreateApp);
  table.AddUnary<api::GetAppRequest>(service + "GetApp", GetApp);
  table.AddUnary<api::ListAppsRequest>(service + "ListApps", ListApps);
  table.AddUnary<api::UpdateAppRequest>(service + "UpdateApp", UpdateApp);
  table.AddUnary<api::DeleteAppRequest>(service + "DeleteApp", DeleteApp);
  table.AddUnary<api::UndeleteAppRequest>(service + "UndeleteApp", UndeleteApp);
  AddAppVerbs(table);
  AddRevisionMethods(table);
}

}  // namespace appsup::entry
