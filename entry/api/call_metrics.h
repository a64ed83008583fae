#pragma once

#include "common/metrics.h"
#include "common/rpc/server_call.h"

namespace appsup::entry {

// Counts ended calls by method and code, and how long those took that do not stream.
rpc::CallObserver CountCalls(Metrics& metrics);

}  // namespace appsup::entry
