#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "entry/core/principal.h"
#include "google/protobuf/message.h"

namespace appsup::entry {

// What a principal that is limited to one project may do with a method.
enum class Scope {
  kProject,  // Only on names below that project.
  kShared,   // As anybody: it shows or keeps nothing of another project.
  kSystem,   // Nothing: it is about all projects.
};

struct MethodRule {
  std::string method;  // "appsupervisor.v1.AppService/CreateApp".
  Role role;           // At least.
  Scope scope;
};

// One row per method of the API. Methods of the link are not in it: nodes call them.
const std::vector<MethodRule>& MethodRules();

// Whether the principal may make this call. PERMISSION_DENIED says which role is needed; a method
// without a row is refused too. Looks at names only, never at whether they exist.
absl::Status Authorize(const Principal& principal, const std::string& method,
                       const google::protobuf::Message& request);

// The name that a request is about: its `name`, its resource's `name`, or its `parent`.
std::string ResourceOf(const google::protobuf::Message& request);

std::string RoleName(Role role);

}  // namespace appsup::entry
