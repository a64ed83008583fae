#include "entry/gateway/visit.h"

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "common/resource_name.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

// The redirect must not let a path or query break out of its header.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f || c == '"' || c == '<' || c == '>' || c == '%' || c == '?' ||
        c == '#') {
      escaped += fmt::format("%{:02X}", byte);
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// Takes "/{word}" off the front.
std::optional<std::string_view> TakeSegment(std::string_view& path) {
  if (path.empty() || path.front() != '/') return std::nullopt;
  const size_t end = path.find('/', 1);
  const std::string_view segment = path.substr(1, end == path.npos ? path.npos : end - 1);
  path = end == path.npos ? std::string_view() : path.substr(end);
  return segment;
}

std::string StateWord(const appsupervisor::v1::App& app) {
  return appsupervisor::v1::AppState_Name(app.status().state()).substr(sizeof("APP_STATE_") - 1);
}

}  // namespace

std::optional<Visit> ParseVisit(const std::string& path) {
  std::string_view left = path;
  std::string project = "default";
  auto segment = TakeSegment(left);
  if (segment == "projects") {
    const auto named = TakeSegment(left);
    if (!named.has_value()) return std::nullopt;
    project = std::string(*named);
    segment = TakeSegment(left);
  }
  if (segment != "apps") return std::nullopt;
  const auto app = TakeSegment(left);
  if (!app.has_value() || app->empty()) return std::nullopt;
  Visit visit;
  visit.app_name = fmt::format("projects/{}/apps/{}", project, *app);
  if (!MatchName("projects/*/apps/*", visit.app_name).has_value()) return std::nullopt;
  visit.add_slash = left.empty();
  visit.rest = left.empty() ? "/" : std::string(left);
  return visit;
}

HttpResponse AnswerVisit(const appsupervisor::v1::App& app, const Visit& visit,
                         const std::string& query, uint64_t turn) {
  // Visitors come to the first port of the spec.
  const std::string port = app.spec().ports().empty() ? "" : app.spec().ports(0).name();
  std::vector<const std::string*> addresses;
  for (const auto& endpoint : app.status().endpoints()) {
    if (endpoint.port() == port) addresses.push_back(&endpoint.address());
  }
  if (addresses.empty()) {
    std::string why = port.empty() ? "it has no port" : "no instance is ready";
    for (const auto& condition : app.status().conditions()) {
      if (condition.status() != appsupervisor::v1::CONDITION_STATUS_TRUE &&
          !condition.message().empty()) {
        why += fmt::format("\n{}: {}", condition.type(), condition.message());
      }
    }
    return {.status = 503,
            .body = fmt::format("{} is {}: {}\n", app.name(), StateWord(app), why),
            .headers = {{"Retry-After", "2"}}};
  }
  std::string location =
      fmt::format("http://{}{}", *addresses[turn % addresses.size()], Escaped(visit.rest));
  if (!query.empty()) location += "?" + query;
  return {.status = 307,
          .body = location + "\n",
          .headers = {{"Location", location}, {"Cache-Control", "no-store"}}};
}

}  // namespace appsup::entry
