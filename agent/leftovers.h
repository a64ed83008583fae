#pragma once

#include <string>
#include <vector>

namespace appsup::agent {

// An install command runs as a user of its own, so the agent may not be able to remove what it
// left behind: the keeper has to. These find such trees below the artifacts' cache. Blocking.

// Before the cache is opened: trees that never became ready and the cache's tmp/ are removed, or,
// where that is not allowed, moved to `discard_dir`.
void SetAsideLeftovers(const std::string& cache_dir, const std::string& discard_dir);

// What the keeper is to remove: everything in `discard_dir`, and trees that the cache gave up.
std::vector<std::string> Discarded(const std::string& cache_dir, const std::string& discard_dir);

}  // namespace appsup::agent
