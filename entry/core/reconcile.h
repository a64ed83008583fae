#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/clock.h"
#include "common/random.h"
#include "entry/core/catalog.h"
#include "entry/core/dirty.h"
#include "entry/core/options.h"
#include "entry/core/patience.h"
#include "entry/core/sessions.h"

namespace appsup::entry {

// Brings one app nearer to its spec: makes, stops and removes instances, runs setup, rolls out and
// back, computes AppStatus, and moves its operations on. Called at each Flush for dirty apps; it
// changes only the catalog. Idempotent: without news it changes nothing.
// Returns when it has to be called again without news (BOOTTIME), or InfiniteDuration.
absl::Duration ReconcileApp(const CoreOptions& options, Catalog& catalog, const Sessions& sessions,
                            Dirty& dirty, Patience& patience, Random& random,
                            const std::string& app_name, const Moment& now);

// The same for a node: drain, state, conditions, sums.
absl::Duration ReconcileNode(const CoreOptions& options, Catalog& catalog, const Sessions& sessions,
                             Dirty& dirty, Patience& patience, const std::string& node_name,
                             const Moment& now);

}  // namespace appsup::entry
