#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace appsup {

// Blocking; not for a loop thread on slow disks. Errors name the path and what the system said.

// Afterwards `path` holds `data` and survives a power cut, or it is as it was: writes a neighbour
// with a random name, fsync, rename, fsync of the folder. `mode` is not reduced by the umask.
absl::Status AtomicWriteFile(const std::string& path, std::string_view data, mode_t mode);

// The whole file. RESOURCE_EXHAUSTED if it has more than `limit` bytes, NOT_FOUND if absent.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit = size_t{16} << 20);

// Makes the folder and the missing ones above it, each with `mode`. An existing folder keeps its
// mode; FAILED_PRECONDITION if something else is in the place.
absl::Status EnsureDir(const std::string& path, mode_t mode);

// From the root and without `.` and `..`; a relative one starts in the working folder. Looks at no
// link. FAILED_PRECONDITION if it is empty or the working folder is gone.
absl::StatusOr<std::string> AbsolutePath(const std::string& path);

// Lower-case hex.
absl::StatusOr<std::string> Sha256File(const std::string& path);

}  // namespace appsup
