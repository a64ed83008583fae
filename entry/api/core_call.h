#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/random.h"
#include "common/rpc/server_call.h"
#include "entry/api/call_table.h"
#include "entry/api/caller.h"
#include "entry/core/core_port.h"
#include "entry/core/principal.h"

namespace appsup::entry {

// Everything that a call needs on its way to the core and back.
struct CoreDoor {
  CorePort& core;
  CallTable& calls;
  Random& random;  // For ApiCall::entropy: thread-safe, fit for secrets.
};

// Hands a request to the core under a new id in the table.
CallId PostToCore(const CoreDoor& door, const std::string& method,
                  std::shared_ptr<const google::protobuf::Message> request,
                  const Principal& principal, std::shared_ptr<PendingCall> call);

// A call whose answer comes from the core: takes one request, checks the right to make it, posts
// it, and writes what the core answers. Polling thread and core thread.
class CoreCall : public rpc::CallSink,
                 public PendingCall,
                 public std::enable_shared_from_this<CoreCall> {
 public:
  // Changes the core's answer before it is sent; empty for most methods.
  using Complete = std::function<absl::StatusOr<MessagePtr>(MessagePtr)>;

  // `callers` outlives this.
  CoreCall(const CoreDoor& door, const Callers& callers, std::shared_ptr<rpc::ServerCall> call,
           Principal principal, Complete complete)
      : door_(door),
        callers_(callers),
        call_(std::move(call)),
        principal_(std::move(principal)),
        complete_(std::move(complete)) {}

  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override;
  void OnReadsDone() override;
  void OnWritten() override;
  void OnDone() override;

  void OnReply(const absl::StatusOr<MessagePtr>& response) override;
  void OnStreamMessage(const google::protobuf::Message& message) override;
  void OnStreamEnd(const absl::Status& status) override;

 private:
  const CoreDoor door_;
  const Callers& callers_;
  const std::shared_ptr<rpc::ServerCall> call_;
  const Principal principal_;
  const Complete complete_;
  CallId id_ = 0;  // Polling thread only. 0: not posted.
};

}  // namespace appsup::entry
