#include "tests/bench/support/bare_server.h"

#include <utility>

#include "common/check.h"
#include "common/rpc/completion_tag.h"
#include "common/rpc/deadline.h"
#include "tests/bench/support/stream_client.h"

namespace appsup::bench {

// One call: at most one read or write is under way, so one tag is enough. Ends itself.
class BareServer::Call : public rpc::CompletionTag {
 public:
  Call(BareServer& server, grpc::ServerCompletionQueue* queue) : server_(server), queue_(queue) {
    ++server_.calls_;
    server_.service_.RequestCall(&context_, &stream_, queue_, queue_, this);
  }
  ~Call() override {
    if (--server_.calls_ == 0) server_.calls_.notify_all();
  }

  void Complete(bool ok) override {
    if (!ok || step_ == Step::kFinishing) return delete this;
    switch (step_) {
      case Step::kRequested:
        new Call(server_, queue_);
        unary_ = context_.method().ends_with("/Unary");
        return Read();
      case Step::kReading:
        if (!unary_) {
          step_ = Step::kWriting;
          return stream_.Write(ToBytes(server_.reply_), this);
        }
        step_ = Step::kFinishing;
        return stream_.WriteAndFinish(ToBytes(server_.reply_), {}, grpc::Status::OK, this);
      case Step::kWriting:
        return Read();
      case Step::kFinishing:
        return;
    }
  }

 private:
  enum class Step { kRequested, kReading, kWriting, kFinishing };

  void Read() {
    step_ = Step::kReading;
    stream_.Read(&message_, this);
  }

  BareServer& server_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer message_;
  Step step_ = Step::kRequested;
  bool unary_ = false;
};

BareServer::BareServer(std::shared_ptr<grpc::ServerCredentials> credentials, size_t reply_bytes)
    : reply_(reply_bytes, 'x') {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
  builder.RegisterAsyncGenericService(&service_);
  for (int i = 0; i < kThreads; ++i) queues_.push_back(builder.AddCompletionQueue());
  server_ = builder.BuildAndStart();
  APPSUP_CHECK(server_ != nullptr);
  for (const auto& queue : queues_) {
    new Call(*this, queue.get());
    threads_.emplace_back([&queue] {
      void* tag = nullptr;
      bool ok = false;
      while (queue->Next(&tag, &ok)) static_cast<rpc::CompletionTag*>(tag)->Complete(ok);
    });
  }
}

BareServer::~BareServer() {
  server_->Shutdown(rpc::DeadlineIn(absl::ZeroDuration()));
  for (int left = calls_; left != 0; left = calls_) calls_.wait(left);
  for (const auto& queue : queues_) queue->Shutdown();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace appsup::bench
