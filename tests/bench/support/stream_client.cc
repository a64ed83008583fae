#include "tests/bench/support/stream_client.h"

#include <deque>
#include <utility>

#include "common/check.h"
#include "common/mutex.h"
#include "common/rpc/completion_tag.h"
#include "common/rpc/deadline.h"
#include "grpcpp/generic/generic_stub.h"
#include "tests/bench/support/report.h"

namespace appsup::bench {
namespace {

std::shared_ptr<grpc::Channel> OwnConnection(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetSslTargetNameOverride("appsup-entry");
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

}  // namespace

grpc::ByteBuffer ToBytes(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

grpc::ByteBuffer ToBytes(const google::protobuf::Message& message) {
  return ToBytes(message.SerializeAsString());
}

void Parse(const grpc::ByteBuffer& bytes, google::protobuf::Message* message) {
  grpc::Slice slice;
  APPSUP_CHECK(bytes.DumpToSingleSlice(&slice).ok());
  APPSUP_CHECK(message->ParseFromArray(slice.begin(), static_cast<int>(slice.size())));
}

class StreamClient::Stream {
 public:
  Stream(StreamClient& client, size_t number, const std::string& address,
         const std::shared_ptr<grpc::ChannelCredentials>& credentials, grpc::ByteBuffer first)
      : client_(client),
        number_(number),
        stub_(OwnConnection(address, credentials)),
        call_(stub_.PrepareCall(&context_, client.method_, &client.queue_)) {
    waiting_.push_back(std::move(first));
  }

  // Once it can be found by its number: an answer may come before this returns.
  void Start() { call_->StartCall(&started_); }

  void Send(grpc::ByteBuffer message) {
    MutexLock lock(&mutex_);
    waiting_.push_back(std::move(message));
    if (writable_) WriteNext();
  }

  void Cancel() { context_.TryCancel(); }

 private:
  class Tag : public rpc::CompletionTag {
   public:
    Tag(Stream& stream, void (Stream::*then)(bool)) : stream_(stream), then_(then) {}
    void Complete(bool ok) override { (stream_.*then_)(ok); }

   private:
    Stream& stream_;
    void (Stream::*const then_)(bool);
  };

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writable_ = waiting_.empty();
    if (writable_) return;
    call_->Write(waiting_.front(), &written_);
    waiting_.pop_front();
  }

  void OnStarted(bool ok) {
    if (!ok) return End();
    call_->Read(&incoming_, &read_);
    MutexLock lock(&mutex_);
    WriteNext();
  }

  void OnRead(bool ok) {
    if (!ok) return End();
    ++client_.received_;
    client_.on_message_(number_, incoming_);
    call_->Read(&incoming_, &read_);
  }

  void OnWritten(bool ok) {
    if (!ok) return;
    MutexLock lock(&mutex_);
    WriteNext();
  }

  void End() {
    call_->Finish(&status_, &finished_);
    if (!client_.closing_) ++client_.ended_;
  }
  void OnFinished(bool) {}

  StreamClient& client_;
  const size_t number_;
  grpc::ClientContext context_;
  grpc::GenericStub stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::ByteBuffer incoming_;
  grpc::Status status_;
  Tag started_{*this, &Stream::OnStarted};
  Tag read_{*this, &Stream::OnRead};
  Tag written_{*this, &Stream::OnWritten};
  Tag finished_{*this, &Stream::OnFinished};
  Mutex mutex_;
  bool writable_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<grpc::ByteBuffer> waiting_ ABSL_GUARDED_BY(mutex_);
};

StreamClient::StreamClient(std::string method, OnMessage on_message)
    : method_(std::move(method)), on_message_(std::move(on_message)) {
  streams_.reserve(kMaxStreams);  // The thread looks into it while it grows.
  thread_ = std::thread([this] { Poll(); });
}

StreamClient::~StreamClient() {
  closing_ = true;
  for (const auto& stream : streams_) stream->Cancel();
  queue_.Shutdown();
  thread_.join();
}

void StreamClient::Open(const std::string& address,
                        std::shared_ptr<grpc::ChannelCredentials> credentials,
                        grpc::ByteBuffer first) {
  APPSUP_CHECK(streams_.size() < kMaxStreams);
  streams_.push_back(
      std::make_unique<Stream>(*this, streams_.size(), address, credentials, std::move(first)));
  streams_.back()->Start();
}

void StreamClient::Send(size_t stream, grpc::ByteBuffer message) {
  streams_[stream]->Send(std::move(message));
}

void StreamClient::Poll() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    // After Shutdown no operation may be begun any more.
    if (!closing_) static_cast<rpc::CompletionTag*>(tag)->Complete(ok);
  }
}

UnaryClient::UnaryClient(const std::string& address, std::string method, std::string bearer_token)
    : method_(std::move(method)),
      token_(std::move(bearer_token)),
      channel_(OwnConnection(address, grpc::InsecureChannelCredentials())) {}

double UnaryClient::Call(const grpc::ByteBuffer& request) {
  const double begin = Now();
  grpc::ClientContext context;
  if (!token_.empty()) context.AddMetadata("authorization", "Bearer " + token_);
  grpc::GenericStub stub(channel_);
  auto call = stub.PrepareUnaryCall(&context, method_, request, &queue_);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, this);
  void* tag = nullptr;
  bool ok = false;
  APPSUP_CHECK(queue_.Next(&tag, &ok));
  APPSUP_CHECK(status.ok(), status.error_message());
  return Now() - begin;
}

}  // namespace appsup::bench
