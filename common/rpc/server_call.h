#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/rpc/completion_tag.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "grpcpp/alarm.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/byte_buffer.h"

namespace appsup::rpc {

// "appsupervisor.v1.AppService/CreateApp".
std::string MethodName(const google::protobuf::MethodDescriptor& method);

// What happens to a call, told on one polling thread, one thing at a time. Must not block.
class CallSink {
 public:
  virtual ~CallSink() = default;
  // Answers Read.
  virtual void OnMessage(std::unique_ptr<google::protobuf::Message> message) = 0;
  // Answers Read: the caller sends no more.
  virtual void OnReadsDone() = 0;
  // The transport took over what Write gave it; the next may be written.
  virtual void OnWritten() = 0;
  // The last: the call ended, or the caller went away. The sink should let go of the call.
  virtual void OnDone() = 0;
};

// Told at the end of each call, on its polling thread: how it ended and how long it took.
using CallObserver = std::function<void(const google::protobuf::MethodDescriptor& method,
                                        grpc::StatusCode code, absl::Duration took)>;

// One call of any kind, served as a stream of messages in both directions.
//
//   Read ─▶ OnMessage | OnReadsDone      one at a time
//   Write ─▶ OnWritten                   one at a time
//   Finish | FinishWith ─▶ OnDone        once; waits for a write that is under way
//
// The one owner of all operations of its stream. Each operation under way keeps it alive; after
// OnDone every method is without effect. Thread-safe.
class ServerCall : public std::enable_shared_from_this<ServerCall> {
 public:
  ~ServerCall();

  const google::protobuf::MethodDescriptor& method() const { return method_; }
  // "ipv4:10.0.0.1:4711", or "fd:7" for a connection that was added by hand.
  std::string peer() const { return context_.peer(); }
  // The only value under this key; nothing if there is none or more than one.
  std::optional<std::string> Metadata(const std::string& key) const;
  // Until the caller's deadline; InfiniteDuration if it set none.
  absl::Duration time_left() const;
  // From a certificate that the peer proved to own and a trusted CA signed; else empty.
  std::vector<std::string> peer_uris() const;
  std::string peer_certificate_pem() const;

  void Read();
  void Write(const google::protobuf::Message& message);
  void Finish(const absl::Status& status);
  // The last message and OK.
  void FinishWith(const google::protobuf::Message& message);
  // Ends the call without waiting for anything.
  void Cancel();

 private:
  friend class DescriptorService;
  using Handler = std::function<std::shared_ptr<CallSink>(const std::shared_ptr<ServerCall>&)>;

  // An operation of this call that is under way.
  class Operation : public CompletionTag {
   public:
    explicit Operation(void (ServerCall::*then)(bool)) : then_(then) {}
    CompletionTag* Start(ServerCall* call) {
      self_ = call->shared_from_this();
      return this;
    }
    void Complete(bool ok) override {
      std::shared_ptr<ServerCall> call = std::move(self_);
      (call.get()->*then_)(ok);
    }
    void Forget() { self_.reset(); }

   private:
    void (ServerCall::*then_)(bool);
    std::shared_ptr<ServerCall> self_;
  };

  ServerCall(const google::protobuf::MethodDescriptor& method, grpc::ServerCompletionQueue* queue,
             const CallObserver& observer, std::function<void()> destroyed);

  // The call begins: what the handler returns is told everything. Polling thread.
  void Begin(const Handler& handler);

  void OnReadTag(bool ok);
  void OnWriteTag(bool ok);
  void OnFinishTag(bool) {}
  void OnDoneTag(bool);
  void OnStuckTag(bool expired);
  void StartFinish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AskToFinish(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const google::protobuf::MethodDescriptor& method_;
  grpc::ServerCompletionQueue* const queue_;
  const CallObserver& observer_;
  const std::function<void()> destroyed_;
  int64_t begin_nanos_ = 0;  // Steady clock.
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_{&context_};
  grpc::ByteBuffer read_buffer_;  // While a read is under way: the transport's.

  Operation read_{&ServerCall::OnReadTag};
  Operation write_{&ServerCall::OnWriteTag};
  Operation finish_{&ServerCall::OnFinishTag};
  Operation done_tag_{&ServerCall::OnDoneTag};
  Operation stuck_{&ServerCall::OnStuckTag};
  std::shared_ptr<CallSink> sink_;  // Polling thread only.

  Mutex mutex_;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was asked for.
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;   // Finish was started.
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Alarm> stuck_alarm_ ABSL_GUARDED_BY(mutex_);
};

using CallHandler = std::function<std::shared_ptr<CallSink>(const std::shared_ptr<ServerCall>&)>;

}  // namespace appsup::rpc
