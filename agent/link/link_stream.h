#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "agent/link/channel.h"
#include "appsupervisor/v1/link.grpc.pb.h"
#include "common/mutex.h"
#include "common/rpc/completion_tag.h"
#include "grpcpp/completion_queue.h"

namespace appsup::agent {

// One Connect stream on a connection of its own, from the first attempt to its end. The one owner
// of its operations: one read, one write, one finish. Told and destroyed on the queue's thread;
// Write and Cancel from any.
class LinkStream {
 public:
  struct Owner {
    std::function<void()> opened;
    std::function<void(std::shared_ptr<appsupervisor::v1::ConnectResponse>)> received;
    std::function<void()> written;
    std::function<void(const absl::Status&)> ended;  // The last: destroy the stream.
  };

  // Begins to connect.
  LinkStream(std::shared_ptr<grpc::Channel> channel, grpc::CompletionQueue* queue, Owner owner);

  // Asks for the next message. After opened, and after each received.
  void Read();

  // False if a message is under way or the stream is not open.
  bool Write(const appsupervisor::v1::ConnectRequest& message);

  // Ends it soon; `why` is the status it ends with.
  void Cancel(const absl::Status& why);
  bool cancelled();

 private:
  struct Operation : public rpc::CompletionTag {
    Operation(LinkStream* stream, void (LinkStream::*then)(bool)) : stream(stream), then(then) {}
    void Complete(bool ok) override { (stream->*then)(ok); }
    LinkStream* const stream;
    void (LinkStream::*const then)(bool);
  };

  void OnStart(bool ok);
  void OnRead(bool ok);
  void OnWrite(bool ok);
  void OnFinish(bool ok);
  // Once reading ended and no write is under way.
  void FinishIfIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<grpc::Channel> channel_;
  Owner owner_;
  const std::unique_ptr<appsupervisor::v1::LinkService::Stub> stub_;
  grpc::ClientContext context_;
  Operation start_{this, &LinkStream::OnStart};
  Operation read_{this, &LinkStream::OnRead};
  Operation write_{this, &LinkStream::OnWrite};
  Operation finish_{this, &LinkStream::OnFinish};
  std::unique_ptr<grpc::ClientAsyncReaderWriter<appsupervisor::v1::ConnectRequest,
                                                appsupervisor::v1::ConnectResponse>>
      stream_;
  std::shared_ptr<appsupervisor::v1::ConnectResponse> message_;  // Being read.
  grpc::Status status_;

  Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace appsup::agent
