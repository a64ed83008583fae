#pragma once

#include <string>

#include "absl/time/time.h"
#include "tests/simulation/promises/scene.h"

namespace appsup::simulation {

// Promise 4: what is not yet as the catalog wants it, or as it tells; empty if all is. Apps that
// cannot run by their own fault need not run, but all else holds for them, too.
std::string FindUnsettled(const Scene& scene);

// The longest that an app of the catalog takes on its own account.
absl::Duration LongestOwnTime(const Scene& scene);

}  // namespace appsup::simulation
