#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/event_loop.h"
#include "common/rpc/server.h"
#include "entry/api/caller.h"
#include "entry/api/core_call.h"
#include "entry/artifact/blob_store.h"

namespace appsup::entry {

// The public API: finds out who calls, and gives each call the object that serves it. Nearly all
// calls go to the core; those of ArtifactService are served from the blobs here. Thread-safe.
class ApiService {
 public:
  // All outlive this. `blob_loop` does what blocks on the disk.
  ApiService(const CoreDoor& door, const Callers& callers, BlobStore& blobs, EventLoop& blob_loop)
      : door_(door), callers_(callers), blobs_(blobs), blob_loop_(blob_loop) {}

  // Changes the core's answers to this method before they are sent. Before the server starts.
  void SetComplete(const std::string& method, CoreCall::Complete complete) {
    complete_[method] = std::move(complete);
  }

  // Every service of the public API, for rpc::Server.
  rpc::Server::Services Services();

 private:
  std::shared_ptr<rpc::CallSink> Accept(const std::shared_ptr<rpc::ServerCall>& call);
  std::shared_ptr<rpc::CallSink> Serve(const std::shared_ptr<rpc::ServerCall>& call,
                                       const Principal& principal);

  const CoreDoor door_;
  const Callers& callers_;
  BlobStore& blobs_;
  EventLoop& blob_loop_;
  std::map<std::string, CoreCall::Complete> complete_;
};

}  // namespace appsup::entry
