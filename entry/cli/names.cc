#include "entry/cli/names.h"

#include <vector>

#include "common/resource_name.h"
#include "common/status.h"
#include "entry/cli/exit_code.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr char kAppPattern[] = "projects/*/apps/*";
constexpr char kInstancePattern[] = "projects/*/apps/*/instances/*";

absl::StatusOr<std::string> NameOf(const std::string& kind, const std::string& pattern,
                                   const std::string& text) {
  if (MatchName(pattern, text).has_value()) return text;
  if (IsValidId(text)) return FormatName(pattern, {text});
  return UsageError(fmt::format("\"{}\" is no name of {}; allowed: an id such as \"eu-1\", or {}",
                                text, kind, pattern));
}

absl::StatusOr<std::string> FindInstance(Session& session, const std::string& id) {
  ASSIGN_OR_RETURN(Client * client, session.client());
  v1::ListInstancesRequest request;
  request.set_parent(fmt::format("projects/{}/apps/-", session.settings.project));
  ASSIGN_OR_RETURN(v1::ListInstancesResponse all,
                   client->ListAll(&AppStub::ListInstances, request));
  for (const v1::Instance& instance : all.instances()) {
    if (IdOf(instance.name()) == id) return instance.name();
  }
  return absl::NotFoundError(
      fmt::format("project {} has no instance \"{}\"; `appsup get instances` "
                  "shows those that there are",
                  session.settings.project, id));
}

}  // namespace

absl::StatusOr<std::string> AppName(const Session& session, const std::string& text) {
  if (MatchName(kAppPattern, text).has_value()) return text;
  if (IsValidId(text)) return FormatName(kAppPattern, {session.settings.project, text});
  return UsageError(fmt::format(
      "\"{}\" is no name of an app; allowed: an id such as \"crm\", or {}", text, kAppPattern));
}

absl::StatusOr<std::string> NodeName(const std::string& text) {
  return NameOf("a node", "nodes/*", text);
}

absl::StatusOr<std::string> EnvironmentName(const std::string& text) {
  return NameOf("an environment", "environments/*", text);
}

absl::StatusOr<std::string> ProjectName(const std::string& text) {
  return NameOf("a project", "projects/*", text);
}

absl::StatusOr<std::string> OperationName(const Session& session, const std::string& text) {
  if (text.find('/') != std::string::npos) return text;
  if (text.empty()) return UsageError("the name of the operation is empty");
  return fmt::format("projects/{}/operations/{}", session.settings.project, text);
}

absl::StatusOr<std::string> InstanceName(Session& session, const std::string& text) {
  if (MatchName(kInstancePattern, text).has_value()) return text;
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return FindInstance(session, text);
  ASSIGN_OR_RETURN(std::string app, AppName(session, text.substr(0, slash)));
  return app + "/instances/" + text.substr(slash + 1);
}

std::string IdOf(const std::string& name) { return name.substr(name.rfind('/') + 1); }

std::string ShortName(const Session& session, const std::string& name) {
  const std::string own = fmt::format("projects/{}/", session.settings.project);
  for (const char* pattern : {kAppPattern, kInstancePattern}) {
    const auto ids = MatchName(pattern, name);
    if (!ids.has_value()) continue;
    const std::string app = (*ids)[0] == session.settings.project
                                ? (*ids)[1]
                                : fmt::format("{}/{}", (*ids)[0], (*ids)[1]);
    return ids->size() == 3 ? fmt::format("{}/{}", app, (*ids)[2]) : app;
  }
  if (name.rfind(own, 0) == 0) return IdOf(name);
  return name.find('/') == name.rfind('/') ? IdOf(name) : name;
}

}  // namespace appsup::cli
