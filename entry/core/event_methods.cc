// EventService.
#include <optional>
#include <vector>

#include "common/resource_name.h"
#include "common/status.h"
#include "entry/core/page.h"
#include "entry/core/resource_change.h"
#include "entry/core/resource_kind.h"
#include "entry/core/sealed_token.h"
#include "entry/core/waiters.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

// The kinds that the request names, or all.
std::set<std::string> ReadKinds(const api::WatchEventsRequest& request, Violations& violations) {
  std::set<std::string> known;
  std::string words;
  for (const ResourceKind& kind : ResourceKinds()) {
    known.insert(kind.name);
    words += (words.empty() ? "" : ", ") + kind.name;
  }
  std::set<std::string> kinds;
  for (int at = 0; at < request.kinds_size(); ++at) {
    if (known.contains(request.kinds(at))) {
      kinds.insert(request.kinds(at));
    } else {
      violations.Add(fmt::format("kinds[{}]", at),
                     fmt::format("{} is no kind; there are {}", Quoted(request.kinds(at)), words));
    }
  }
  return request.kinds().empty() ? known : kinds;
}

// Reads the filter; of the kinds, those remain whose fields it fits.
Filter ReadFilter(const api::WatchEventsRequest& request, std::set<std::string>& kinds,
                  Violations& violations) {
  absl::StatusOr<Filter> filter = Filter::Parse(request.filter());
  if (!filter.ok()) {
    violations.Add("filter", std::string(filter.status().message()));
    return Filter();
  }
  absl::Status unfit;
  for (const ResourceKind& kind : ResourceKinds()) {
    if (!kinds.contains(kind.name)) continue;
    absl::Status status = filter->Check(*kind.type);
    if (status.ok()) continue;
    kinds.erase(kind.name);
    unfit = std::move(status);
  }
  if (kinds.empty() && !unfit.ok()) violations.Add("filter", std::string(unfit.message()));
  return *std::move(filter);
}

absl::Status WatchEvents(CallContext& context, const api::WatchEventsRequest& request) {
  Violations violations;
  WatchSpec spec;
  spec.project = context.call.principal.project;
  if (!request.parent().empty()) {
    std::vector<std::string> ids;
    violations.Add(ParseParent("parent", "projects/*", request.parent(), &ids));
    if (!ids.empty() && ids[0] != "-") spec.project = ids[0];
  }
  spec.kinds = ReadKinds(request, violations);
  spec.filter = ReadFilter(request, spec.kinds, violations);
  RETURN_IF_ERROR(violations.ToStatus());
  if (!spec.project.empty() &&
      context.catalog.projects.Find("projects/" + spec.project) == nullptr) {
    return NotFound("Project", "projects/" + spec.project);
  }
  std::optional<int64_t> after;
  if (!request.resume_token().empty()) {
    ASSIGN_OR_RETURN(after, ReadResumeToken(context.catalog, request.resume_token()));
  }
  ChangeFeed& feed = context.waiters.feed;
  if (static_cast<int>(feed.watchers()) >= context.options.max_streams) {
    return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_STREAMS",
                     fmt::format("{} watches are open already; end one of them first",
                                 context.options.max_streams),
                     {{"limit", std::to_string(context.options.max_streams)}});
  }
  feed.Watch(context.call.call, std::move(spec), after, context.now);
  return absl::OkStatus();
}

}  // namespace

void AddEventMethods(MethodTable& table) {
  table.AddStream<api::WatchEventsRequest>("appsupervisor.v1.EventService/WatchEvents",
                                           WatchEvents);
}

}  // namespace appsup::entry
