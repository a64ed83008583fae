#include "common/rpc/descriptor_service.h"

#include <utility>

#include "grpcpp/impl/codegen/rpc_service_method.h"

namespace appsup::rpc {

// A call that was asked for and has not come yet.
class DescriptorService::Request : public CompletionTag {
 public:
  Request(DescriptorService& service, int index, grpc::ServerCompletionQueue* queue,
          std::shared_ptr<ServerCall> call)
      : service_(service), index_(index), queue_(queue), call_(std::move(call)) {}

  void Complete(bool ok) override {
    std::unique_ptr<Request> self(this);
    if (!ok) return call_->done_tag_.Forget();  // The server shuts down; that tag never comes.
    service_.RequestCall(index_, queue_);
    call_->Begin(service_.handler_);
  }

 private:
  DescriptorService& service_;
  const int index_;
  grpc::ServerCompletionQueue* const queue_;
  const std::shared_ptr<ServerCall> call_;
};

DescriptorService::DescriptorService(const google::protobuf::ServiceDescriptor& descriptor,
                                     CallHandler handler, CallObserver observer)
    : descriptor_(descriptor), handler_(std::move(handler)), observer_(std::move(observer)) {
  for (int i = 0; i < descriptor.method_count(); ++i) {
    names_.push_back("/" + descriptor.full_name() + "/" + descriptor.method(i)->name());
  }
  for (int i = 0; i < descriptor.method_count(); ++i) {
    AddMethod(new grpc::internal::RpcServiceMethod(
        names_[i].c_str(), grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
    MarkMethodRaw(i);
  }
}

DescriptorService::~DescriptorService() = default;

void DescriptorService::Serve(grpc::ServerCompletionQueue* queue) {
  for (int i = 0; i < descriptor_.method_count(); ++i) RequestCall(i, queue);
}

void DescriptorService::RequestCall(int index, grpc::ServerCompletionQueue* queue) {
  MutexLock lock(&mutex_);
  if (stopped_) return;
  ++calls_;
  std::shared_ptr<ServerCall> call(
      new ServerCall(*descriptor_.method(index), queue, observer_, [this] { CallGone(); }));
  call->context_.AsyncNotifyWhenDone(call->done_tag_.Start(call.get()));
  RequestAsyncBidiStreaming(index, &call->context_, &call->stream_, queue, queue,
                            new Request(*this, index, queue, call));
}

void DescriptorService::CallGone() {
  MutexLock lock(&mutex_);
  --calls_;
  gone_.SignalAll();
}

void DescriptorService::Stop() {
  MutexLock lock(&mutex_);
  stopped_ = true;
}

bool DescriptorService::WaitForCalls(absl::Duration timeout) {
  const absl::Time until = absl::Now() + timeout;
  MutexLock lock(&mutex_);
  while (calls_ > 0) {
    const absl::Duration left = until - absl::Now();
    if (left <= absl::ZeroDuration() || !gone_.WaitFor(&mutex_, left)) return calls_ == 0;
  }
  return true;
}

}  // namespace appsup::rpc
