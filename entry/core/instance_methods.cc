// AppService: instances and their logs.
#include <utility>
#include <vector>

#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/app_change.h"
#include "entry/core/page.h"
#include "entry/core/resource_change.h"
#include "entry/core/waiters.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr int kMaxLines = 10'000;

absl::StatusOr<api::Instance> GetInstance(CallContext& context,
                                          const api::GetInstanceRequest& request) {
  if (const auto* record = context.catalog.instances.Find(request.name())) {
    return record->instance();
  }
  std::vector<std::string> ids;
  RETURN_IF_ERROR(ParseName("name", "projects/*/apps/*/instances/*", request.name(), &ids));
  return NotFound("Instance", request.name());
}

// Whether the parts of an instance's name fit a parent that may hold "-".
bool IsBelow(const std::string& instance, const std::vector<std::string>& ids) {
  return (ids[0] == "-" || ProjectIdOf(instance) == ids[0]) &&
         (ids[1] == "-" || IdOf(AppOf(instance)) == ids[1]);
}

absl::StatusOr<api::ListInstancesResponse> ListInstances(CallContext& context,
                                                         const api::ListInstancesRequest& request) {
  Violations violations;
  std::vector<std::string> ids;
  violations.Add(ParseParent("parent", "projects/*/apps/*", request.parent(), &ids));
  ListQuery query(context, *api::Instance::descriptor(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  if (ids[0] == "-" && !context.call.principal.project.empty()) {
    ids[0] = context.call.principal.project;
  }
  std::string prefix = "projects/";
  if (ids[0] != "-") {
    prefix += ids[0] + "/apps/";
    if (context.catalog.projects.Find("projects/" + ids[0]) == nullptr) {
      return NotFound("Project", "projects/" + ids[0]);
    }
    if (ids[1] != "-") {
      prefix += ids[1] + "/instances/";
      RETURN_IF_ERROR(FindApp(context, fmt::format("projects/{}/apps/{}", ids[0], ids[1])));
    }
  }
  api::ListInstancesResponse response;
  response.set_next_page_token(
      ListRows(query, context.catalog.instances.rows(), prefix,
               [&](const std::string& name, const rec::InstanceRecord& record) {
                 if (!IsBelow(name, ids) || !query.filter().Matches(record.instance())) {
                   return false;
                 }
                 *response.add_instances() = record.instance();
                 return true;
               }));
  return response;
}

absl::Status TailLogs(CallContext& context, const api::TailLogsRequest& request) {
  Violations violations;
  if (request.lines() < -1 || request.lines() > kMaxLines) {
    violations.Add("lines", fmt::format("is {}; must be from 0 to {}, or -1 for all that is kept",
                                        request.lines(), kMaxLines));
  }
  if (!api::LogStream_IsValid(request.stream())) {
    violations.Add("stream", fmt::format("{} is no stream", static_cast<int>(request.stream())));
  }
  std::vector<std::string> ids;
  if (!MatchName("projects/*/apps/*/instances/*", request.name()).has_value()) {
    violations.Add(ParseName("name", "projects/*/apps/*", request.name(), &ids));
  }
  RETURN_IF_ERROR(violations.ToStatus());
  if (ids.empty()) {
    if (context.catalog.instances.Find(request.name()) == nullptr) {
      return NotFound("Instance", request.name());
    }
  } else {
    RETURN_IF_ERROR(FindApp(context, request.name()));
  }
  return context.waiters.tails.Open(context.call.call, request);
}

}  // namespace

void AddInstanceMethods(MethodTable& table) {
  const std::string service = "appsupervisor.v1.AppService/";
  table.AddUnary<api::GetInstanceRequest>(service + "GetInstance", GetInstance);
  table.AddUnary<api::ListInstancesRequest>(service + "ListInstances", ListInstances);
  table.AddStream<api::TailLogsRequest>(service + "TailLogs", TailLogs);
}

}  // namespace appsup::entry
