#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "entry/cli/session.h"

namespace appsup::cli {

// Full resource names for what people type: "crm" or "projects/shop/apps/crm". INVALID_ARGUMENT for
// what is neither.
absl::StatusOr<std::string> AppName(const Session& session, const std::string& text);
absl::StatusOr<std::string> NodeName(const std::string& text);
absl::StatusOr<std::string> EnvironmentName(const std::string& text);
absl::StatusOr<std::string> ProjectName(const std::string& text);

// "abc", "operations/abc" or "projects/shop/operations/abc".
absl::StatusOr<std::string> OperationName(const Session& session, const std::string& text);

// Also "crm/abc", or "abc" alone, which is looked for among the project's instances.
absl::StatusOr<std::string> InstanceName(Session& session, const std::string& text);

// The last part of a name.
std::string IdOf(const std::string& name);

// As short as it is unmistakable within the project: "crm", "crm/abc", "shop/crm" elsewhere.
std::string ShortName(const Session& session, const std::string& name);

}  // namespace appsup::cli
