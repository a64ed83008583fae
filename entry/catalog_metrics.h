#pragma once

#include "common/metrics.h"
#include "entry/core/catalog.h"

namespace appsup::entry {

// Counts what the catalog holds into gauges: apps, instances and nodes by state, operations, and
// the log's position. Reads every row, so it is done when somebody asks for metrics, not before.
void UpdateCatalogMetrics(const Catalog& catalog, Metrics& metrics);

}  // namespace appsup::entry
