#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "entry/cli/manifest.h"
#include "entry/cli/session.h"

namespace appsup::cli {

// The manifests of files, folders (their *.yaml and *.yml, with `recursive` those below too) and
// "-" (standard input), in the order in which they are to be applied: projects, environments,
// nodes, apps.
absl::StatusOr<std::vector<Manifest>> LoadManifests(Session& session,
                                                    const std::vector<std::string>& paths,
                                                    bool recursive);

}  // namespace appsup::cli
