#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/rpc/server_call.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/impl/codegen/service_type.h"
#include "grpcpp/server_builder.h"

namespace appsup::rpc {

// Serves every method of one service as raw messages, whatever its kind: gRPC is told that all of
// them are streams in both directions, which unary callers do not notice. The methods are
// registered by name, so that reflection lists the service. Must outlive the server.
class DescriptorService : public grpc::Service {
 public:
  DescriptorService(const google::protobuf::ServiceDescriptor& descriptor, CallHandler handler,
                    CallObserver observer);
  ~DescriptorService() override;

  // Asks for the first call of each method on this queue; from then on there is always one more
  // asked for. After the server was built.
  void Serve(grpc::ServerCompletionQueue* queue);

  // No new calls are asked for. Before the server's Shutdown.
  void Stop();

  // Waits until no call is left. False if it took longer.
  bool WaitForCalls(absl::Duration timeout);

 private:
  class Request;

  void RequestCall(int index, grpc::ServerCompletionQueue* queue);
  void CallGone();

  const google::protobuf::ServiceDescriptor& descriptor_;
  const CallHandler handler_;
  const CallObserver observer_;
  std::vector<std::string> names_;  // gRPC keeps pointers to them.
  Mutex mutex_;
  CondVar gone_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace appsup::rpc
