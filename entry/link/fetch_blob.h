#pragma once

#include <memory>

#include "common/event_loop.h"
#include "common/rpc/server_call.h"
#include "entry/artifact/blob_store.h"

namespace appsup::entry {

// Serves LinkService.FetchBlob for a peer with a node's certificate: pieces of at most 256 KiB, the
// next when the one before was taken. The disk is read on `loop`.
std::shared_ptr<rpc::CallSink> ServeFetchBlob(BlobStore& blobs, EventLoop& loop,
                                              const std::shared_ptr<rpc::ServerCall>& call);

}  // namespace appsup::entry
