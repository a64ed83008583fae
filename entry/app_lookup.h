#pragma once

#include "entry/api/core_call.h"
#include "entry/gateway/gateway.h"

namespace appsup::entry {

// How the gateway asks for an app: by the same GetApp, on the same way, as any other caller. The
// answer comes on the core thread.
Gateway::FindApp LookUpThroughCore(const CoreDoor& door);

}  // namespace appsup::entry
