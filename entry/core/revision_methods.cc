// AppService: revisions.
#include <algorithm>
#include <charconv>
#include <vector>

#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/app_change.h"
#include "entry/core/app_methods.h"
#include "entry/core/page.h"
#include "entry/core/resource_change.h"
#include "entry/core/revision.h"

namespace appsup::entry {
namespace {

absl::StatusOr<api::AppRevision> GetAppRevision(CallContext& context,
                                                const api::GetAppRevisionRequest& request) {
  const std::string& name = request.name();
  if (context.catalog.revisions.Find(name) != nullptr) return context.catalog.RevisionView(name);
  const std::string app = AppOf(name);
  const std::string infix = "/revisions/";
  std::vector<std::string> ids;
  const std::string rest = name.substr(std::min(app.size(), name.size()));
  int64_t number = 0;
  const char* begin = rest.data() + std::min(infix.size(), rest.size());
  auto [end, error] = std::from_chars(begin, rest.data() + rest.size(), number);
  if (!rest.starts_with(infix) || error != std::errc() || end != rest.data() + rest.size() ||
      !ParseName("name", "projects/*/apps/*", app, &ids).ok()) {
    Violations violations;
    violations.Add("name",
                   Quoted(name) + " does not have the form projects/*/apps/*/revisions/NUMBER");
    return violations.ToStatus();
  }
  RETURN_IF_ERROR(FindApp(context, app));
  return NotFound("AppRevision", name);
}

absl::StatusOr<api::ListAppRevisionsResponse> ListAppRevisions(
    CallContext& context, const api::ListAppRevisionsRequest& request) {
  Violations violations;
  std::vector<std::string> ids;
  violations.Add(ParseName("parent", "projects/*/apps/*", request.parent(), &ids));
  ListQuery query(context, *api::AppRevision::descriptor(), violations);
  RETURN_IF_ERROR(violations.ToStatus());
  RETURN_IF_ERROR(FindApp(context, request.parent()));
  // The cursor is the number of the last one that was sent.
  const int64_t after = query.cursor().empty() ? INT64_MAX : std::stoll(query.cursor());
  api::ListAppRevisionsResponse response;
  for (int64_t number : RevisionsOf(context.catalog, request.parent())) {
    if (number >= after) continue;
    if (static_cast<size_t>(response.app_revisions_size()) == query.size()) {
      const int64_t last = response.app_revisions(response.app_revisions_size() - 1).number();
      response.set_next_page_token(query.NextToken(std::to_string(last)));
      break;
    }
    *response.add_app_revisions() =
        context.catalog.RevisionView(RevisionName(request.parent(), number));
  }
  return response;
}

}  // namespace

void AddRevisionMethods(MethodTable& table) {
  const std::string service = "appsupervisor.v1.AppService/";
  table.AddUnary<api::GetAppRevisionRequest>(service + "GetAppRevision", GetAppRevision);
  table.AddUnary<api::ListAppRevisionsRequest>(service + "ListAppRevisions", ListAppRevisions);
}

}  // namespace appsup::entry
