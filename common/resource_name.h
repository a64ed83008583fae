#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace appsup {

// Resource names are paths of collection and id: "projects/shop/apps/web/instances/web-0".
// Ids follow [a-z]([a-z0-9-]{0,61}[a-z0-9])?, which is also a valid DNS label.

bool IsValidId(std::string_view id);

// OK, or INVALID_ARGUMENT (reason INVALID_ID) with a violation of `field` that says the rule.
absl::Status CheckId(std::string_view field, std::string_view id);

// The ids of `name` at the places of '*', or nothing if the name has another form.
//   MatchName("projects/*/apps/*", "projects/shop/apps/web") -> {"shop", "web"}
// Literal segments must be equal; a '*' takes one valid id, so a match needs no CheckId.
std::optional<std::vector<std::string>> MatchName(std::string_view pattern, std::string_view name);

// MatchName for a field of a request: INVALID_ARGUMENT (reason INVALID_NAME) with a violation of
// `field` that shows the pattern; else OK and `ids` is filled.
absl::Status ParseName(std::string_view field, std::string_view pattern, std::string_view name,
                       std::vector<std::string>* ids);

// The inverse of MatchName. There are as many ids as '*' in `pattern`.
std::string FormatName(std::string_view pattern, std::initializer_list<std::string_view> ids);

}  // namespace appsup
