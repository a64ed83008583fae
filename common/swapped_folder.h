#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"

namespace appsup {

// Replaces what `path` holds by these files (name → content), all at once: `path` becomes a
// symbolic link to a new folder beside it ("<path>.<random>", mode 0700, files 0600), and older
// folders of that form are removed. Readers see either the old or the new files.
// FAILED_PRECONDITION if `path` is there and is no symbolic link.
absl::Status SwapFolder(const std::string& path, const std::map<std::string, std::string>& files);

}  // namespace appsup
