#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace appsup::cli {

// The filter (AIP-160) for a label selector as `-l` takes it: "tier=gold,customer!=acme,web,!old".
//   key=value  key==value  key!=value  key (has the label)  !key (has it not)
// Empty for an empty selector. INVALID_ARGUMENT names the part that cannot be read.
absl::StatusOr<std::string> FilterOfSelector(const std::string& selector);

// Both must match; either may be empty.
std::string AndFilters(const std::string& first, const std::string& second);

// A text as a filter writes it: in quotes, with quotes within it escaped.
std::string QuotedForFilter(const std::string& text);

}  // namespace appsup::cli
