#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace appsup::entry {

// What libpq is given to connect: the keywords of `conninfo` (a URI or keywords), and for those it
// does not name, ours, with which a server that vanished or does not answer is noticed within
// seconds. INVALID_ARGUMENT if `conninfo` cannot be read.
absl::StatusOr<std::map<std::string, std::string>> PostgresParameters(const std::string& conninfo);

}  // namespace appsup::entry
