#include "agent/link/link_stream.h"

#include <utility>

#include "common/rpc/grpc_status.h"

namespace appsup::agent {

namespace v1 = ::appsupervisor::v1;

LinkStream::LinkStream(std::shared_ptr<grpc::Channel> channel, grpc::CompletionQueue* queue,
                       Owner owner)
    : channel_(std::move(channel)),
      owner_(std::move(owner)),
      stub_(v1::LinkService::NewStub(channel_)),
      stream_(stub_->PrepareAsyncConnect(&context_, queue)) {
  stream_->StartCall(&start_);
}

void LinkStream::OnStart(bool ok) {
  {
    MutexLock lock(&mutex_);
    open_ = ok;
    reading_ended_ = !ok;
    if (!ok) return FinishIfIdle();
  }
  owner_.opened();
}

void LinkStream::Read() {
  message_ = std::make_shared<v1::ConnectResponse>();
  stream_->Read(message_.get(), &read_);
}

void LinkStream::OnRead(bool ok) {
  if (ok) return owner_.received(std::move(message_));
  MutexLock lock(&mutex_);
  open_ = false;
  reading_ended_ = true;
  FinishIfIdle();
}

bool LinkStream::Write(const v1::ConnectRequest& message) {
  MutexLock lock(&mutex_);
  if (!open_ || writing_) return false;
  writing_ = true;
  stream_->Write(message, &write_);
  return true;
}

void LinkStream::OnWrite(bool ok) {
  {
    MutexLock lock(&mutex_);
    writing_ = false;
    if (reading_ended_) return FinishIfIdle();
  }
  if (ok) owner_.written();  // Else the read ends, too.
}

void LinkStream::Cancel(const absl::Status& why) {
  MutexLock lock(&mutex_);
  if (why_.ok()) why_ = why;
  context_.TryCancel();
}

bool LinkStream::cancelled() {
  MutexLock lock(&mutex_);
  return !why_.ok();
}

void LinkStream::FinishIfIdle() {
  if (reading_ended_ && !writing_) stream_->Finish(&status_, &finish_);
}

void LinkStream::OnFinish(bool) {
  absl::Status why;
  {
    MutexLock lock(&mutex_);
    why = why_;
  }
  if (why.ok()) why = rpc::FromGrpcStatus(status_);
  if (why.ok()) why = absl::UnavailableError("the entry ended the stream");
  const auto ended = std::move(owner_.ended);
  ended(why);  // Destroys this.
}

}  // namespace appsup::agent
