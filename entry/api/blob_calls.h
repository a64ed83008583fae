#pragma once

#include <memory>

#include "common/event_loop.h"
#include "common/rpc/server_call.h"
#include "entry/api/caller.h"
#include "entry/artifact/blob_store.h"
#include "entry/core/principal.h"

namespace appsup::entry {

// Serves one call of ArtifactService. What blocks on the disk is done on `loop`, one step of a call
// at a time, so that a fast sender is held back by the transport.
std::shared_ptr<rpc::CallSink> ServeBlobCall(BlobStore& blobs, EventLoop& loop,
                                             const Callers& callers,
                                             const std::shared_ptr<rpc::ServerCall>& call,
                                             const Principal& principal);

}  // namespace appsup::entry
