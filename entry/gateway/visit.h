#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "appsupervisor/v1/app.pb.h"
#include "common/http/http_server.h"

namespace appsup::entry {

// What a visitor's path asks for.
struct Visit {
  std::string app_name;    // "projects/default/apps/crm".
  std::string rest;        // What the app gets to see: begins with '/'.
  bool add_slash = false;  // "/apps/crm": relative links of the app need "/apps/crm/".
};

// nullopt: not a path of an app.
std::optional<Visit> ParseVisit(const std::string& path);

// The answer to a visit: a redirect to the `turn`-th ready endpoint, or why there is none. Pure.
HttpResponse AnswerVisit(const appsupervisor::v1::App& app, const Visit& visit,
                         const std::string& query, uint64_t turn);

}  // namespace appsup::entry
