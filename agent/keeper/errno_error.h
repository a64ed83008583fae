#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace appsup::keeper {

// "WHAT: No such file or directory", with a code that fits. As appsup::ErrnoError, which would
// bring the whole of protobuf into the keeper.
absl::Status SystemError(int error_number, std::string_view what);

// The text alone.
std::string ErrnoText(int error_number);

}  // namespace appsup::keeper
