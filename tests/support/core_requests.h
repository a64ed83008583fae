#pragma once

#include <string>
#include <vector>

#include "appsupervisor/v1/app_service.pb.h"
#include "appsupervisor/v1/operation_service.pb.h"
#include "tests/support/core_harness.h"

// Requests that tests of the entry's core begin with.
namespace appsup::entry {

// An app of projects/default that runs /bin/sleep.
api::CreateAppRequest NewApp(const std::string& id);

absl::StatusOr<api::App> GetApp(CoreHarness& entry, const std::string& id);
absl::StatusOr<api::Operation> GetOperation(CoreHarness& entry, const std::string& name);

// "StartApp" and the like: requests that need nothing but a name.
template <class Request>
absl::StatusOr<api::Operation> Verb(CoreHarness& entry, const std::string& method,
                                    const std::string& app_id) {
  Request request;
  request.set_name("projects/default/apps/" + app_id);
  return entry.Call<api::Operation>("AppService/" + method, request);
}

// Ids of the apps that ListApps shows of all projects.
std::vector<std::string> ListAppIds(CoreHarness& entry, const std::string& filter = "",
                                    const std::string& order_by = "");

// The fields that an error's violations name, in order.
std::vector<std::string> FieldsOf(const absl::Status& status);

}  // namespace appsup::entry
