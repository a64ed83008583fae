#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/keeper/policy.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// File system work on behalf of an agent that is not trusted: paths lie beneath an allowed root, no
// symbolic link is followed, and what already exists changes its owner only if it belonged to the
// agent, an app or the keeper. Without root, owners are left as they are.

// Makes the folder, and missing ones above it (the agent's, 0711), and gives it owner and mode; its
// group is the agent's. Its content is not touched.
absl::Status PrepareFolder(const Policy& policy, const std::string& path, Identity owner,
                           mode_t mode);

// Gives what is below the folder and belongs to the agent to `owner`. Files with several hard links
// are left alone: one of those may lie elsewhere. Takes long in large trees.
absl::Status AdoptTree(const Policy& policy, const std::string& path, Identity owner);

// Removes the folder and all below it. OK if it is not there. Takes long in large trees.
absl::Status RemoveTree(const Policy& policy, const std::string& path);

// Opens for append, after making it 0640 in the agent's group if it is missing. An existing one
// must be a plain file that the keeper made.
absl::StatusOr<UniqueFd> OpenLog(const Policy& policy, const std::string& path);

}  // namespace appsup::keeper
