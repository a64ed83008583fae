#include "tests/support/core_requests.h"

#include "common/status.h"

namespace appsup::entry {

api::CreateAppRequest NewApp(const std::string& id) {
  api::CreateAppRequest request;
  request.set_parent("projects/default");
  request.set_app_id(id);
  auto& process = *request.mutable_app()->mutable_spec()->mutable_runtime()->mutable_process();
  process.add_command("/bin/sleep");
  process.add_command("1000");
  return request;
}

absl::StatusOr<api::App> GetApp(CoreHarness& entry, const std::string& id) {
  api::GetAppRequest request;
  request.set_name("projects/default/apps/" + id);
  return entry.Call<api::App>("AppService/GetApp", request);
}

absl::StatusOr<api::Operation> GetOperation(CoreHarness& entry, const std::string& name) {
  api::GetOperationRequest request;
  request.set_name(name);
  return entry.Call<api::Operation>("OperationService/GetOperation", request);
}

std::vector<std::string> ListAppIds(CoreHarness& entry, const std::string& filter,
                                    const std::string& order_by) {
  api::ListAppsRequest request;
  request.set_parent("projects/-");
  request.set_page_size(1000);
  request.set_filter(filter);
  request.set_order_by(order_by);
  std::vector<std::string> ids;
  auto response = entry.Call<api::ListAppsResponse>("AppService/ListApps", request);
  if (!response.ok()) return {response.status().ToString()};
  for (const api::App& app : response->apps()) ids.push_back(IdOf(app.name()));
  return ids;
}

std::vector<std::string> FieldsOf(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : GetFieldViolations(status)) {
    fields.push_back(violation.field);
  }
  return fields;
}

}  // namespace appsup::entry
