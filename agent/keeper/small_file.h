#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace appsup::keeper {

// Files of the system and the keeper's own: cgroups, /proc, records. Errors name the path.

// At most `limit` bytes, else RESOURCE_EXHAUSTED.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t limit = 65536);

// Into a file that is there, in one write: cgroup settings.
absl::Status WriteSetting(const std::string& path, std::string_view text);

// The folder, and those above it that are missing (0755). Owner and mode of an existing one are
// left alone.
absl::Status MakeFolder(const std::string& path, mode_t mode);

}  // namespace appsup::keeper
