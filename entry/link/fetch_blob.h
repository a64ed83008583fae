#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "common/event_loop.h"
#include "common/rpc/server_call.h"
#include "entry/artifact/blob_store.h"
#include "entry/security/node_identity.h"

namespace appsup::entry {

// Asks whether the catalog still accepts this node's certificate; `checked` is told on any thread.
using CheckNode =
    std::function<void(const NodeIdentity& node, std::function<void(const absl::Status&)> checked)>;

// Serves LinkService.FetchBlob for a peer with the certificate of a node that is neither revoked
// nor deleted: pieces of at most 256 KiB, the next when the one before was taken. The disk is read
// on `loop`.
std::shared_ptr<rpc::CallSink> ServeFetchBlob(BlobStore& blobs, EventLoop& loop,
                                              const CheckNode& check,
                                              const std::shared_ptr<rpc::ServerCall>& call);

}  // namespace appsup::entry
