#include "agent/link/link_blob_fetcher.h"

#include <utility>

#include "agent/link/channel.h"
#include "agent/link/identity.h"
#include "appsupervisor/v1/link.grpc.pb.h"
#include "common/mutex.h"
#include "common/rpc/deadline.h"
#include "common/rpc/grpc_status.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

namespace v1 = ::appsupervisor::v1;

// Piece by piece; a piece that does not come for so long ends the call.
constexpr absl::Duration kPieceTimeout = absl::Seconds(30);
constexpr absl::Duration kPollPeriod = absl::Milliseconds(250);

}  // namespace

class LinkBlobFetcher::Channels {
 public:
  Channels(std::string entry, std::string identity_dir)
      : entry_(std::move(entry)), identity_dir_(std::move(identity_dir)) {}

  absl::StatusOr<std::shared_ptr<grpc::Channel>> Get() {
    MutexLock lock(&mutex_);
    if (channel_ != nullptr) return channel_;
    ASSIGN_OR_RETURN(Identity identity, ReadIdentity(identity_dir_));
    channel_ = MakeChannel(entry_.empty() ? identity.entry : entry_, identity, {});
    return channel_;
  }

  void Drop() {
    MutexLock lock(&mutex_);
    channel_.reset();
  }

 private:
  const std::string entry_;
  const std::string identity_dir_;
  Mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);
};

namespace {

// One fetch on a completion queue of its own: the worker waits with a limit, so that it can ask
// whether it is still wanted.
class Fetch {
 public:
  explicit Fetch(const BlobFetcher::Sink& sink) : sink_(sink) {}
  ~Fetch() {
    context_.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  absl::Status Run(v1::LinkService::Stub& stub, const v1::FetchBlobRequest& request) {
    reader_ = stub.AsyncFetchBlob(&context_, request, &queue_, this);
    ASSIGN_OR_RETURN(bool going, Await());
    while (going) {
      reader_->Read(&piece_, this);
      ASSIGN_OR_RETURN(going, Await());
      if (going) RETURN_IF_ERROR(Take());
    }
    grpc::Status status;
    reader_->Finish(&status, this);
    RETURN_IF_ERROR(Await());
    return rpc::FromGrpcStatus(status);
  }

 private:
  // Whether the operation under way did what it should.
  absl::StatusOr<bool> Await() {
    void* tag = nullptr;
    bool ok = false;
    for (absl::Duration waited; waited < kPieceTimeout; waited += kPollPeriod) {
      const auto next = queue_.AsyncNext(&tag, &ok, rpc::DeadlineIn(kPollPeriod));
      if (next == grpc::CompletionQueue::GOT_EVENT) return ok;
      if (sink_.cancelled()) return absl::CancelledError("the blob is no longer wanted");
    }
    return absl::UnavailableError("the entry stopped sending the blob");
  }

  absl::Status Take() {
    if (!size_told_ && sink_.on_size) sink_.on_size(piece_.size());
    size_told_ = true;
    return piece_.data().empty() ? absl::OkStatus() : sink_.on_data(piece_.data());
  }

  const BlobFetcher::Sink& sink_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReader<v1::FetchBlobResponse>> reader_;
  v1::FetchBlobResponse piece_;
  bool size_told_ = false;
};

}  // namespace

LinkBlobFetcher::LinkBlobFetcher(std::string entry, std::string identity_dir)
    : channels_(std::make_unique<Channels>(std::move(entry), std::move(identity_dir))) {}

LinkBlobFetcher::~LinkBlobFetcher() = default;

absl::Status LinkBlobFetcher::FetchBlob(const std::string& sha256, int64_t offset,
                                        const Sink& sink) {
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = channels_->Get();
  if (!channel.ok()) return channel.status();
  v1::FetchBlobRequest request;
  request.set_name("blobs/" + sha256);
  request.set_offset(offset);
  const std::unique_ptr<v1::LinkService::Stub> stub = v1::LinkService::NewStub(*channel);
  const absl::Status status = Fetch(sink).Run(*stub, request);
  // The next try reads the identity anew: the certificate may have been the reason.
  if (!status.ok()) channels_->Drop();
  return status;
}

}  // namespace appsup::agent
