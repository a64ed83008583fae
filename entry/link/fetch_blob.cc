#include "entry/link/fetch_blob.h"

#include <utility>

#include "appsupervisor/v1/link.pb.h"
#include "common/status.h"
#include "entry/artifact/blob_name.h"

namespace appsup::entry {
namespace {

namespace v1 = ::appsupervisor::v1;

constexpr size_t kPieceBytes = 256 << 10;

class FetchBlobCall : public rpc::CallSink, public std::enable_shared_from_this<FetchBlobCall> {
 public:
  FetchBlobCall(BlobStore& blobs, EventLoop& loop, std::shared_ptr<rpc::ServerCall> call)
      : blobs_(blobs), loop_(loop), call_(std::move(call)) {}

  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    std::shared_ptr<v1::FetchBlobRequest> request(
        static_cast<v1::FetchBlobRequest*>(message.release()));
    loop_.Post([self = shared_from_this(), request] { self->Begin(*request); });
  }
  void OnReadsDone() override { call_->Finish(absl::InvalidArgumentError("no request was sent")); }
  void OnWritten() override {
    loop_.Post([self = shared_from_this()] { self->SendPiece(); });
  }
  void OnDone() override {}

 private:
  void Begin(const v1::FetchBlobRequest& request) {
    const absl::StatusOr<std::string> sha256 = ParseBlobName("name", request.name());
    if (!sha256.ok()) return call_->Finish(sha256.status());
    auto reader = blobs_.OpenBlob(*sha256);
    if (!reader.ok()) return call_->Finish(reader.status());
    reader_ = std::move(*reader);
    offset_ = request.offset();
    piece_.set_size(reader_->size());
    SendPiece();
  }

  void SendPiece() {
    absl::StatusOr<std::string> bytes = reader_->ReadAt(offset_, kPieceBytes);
    if (!bytes.ok()) return call_->Finish(bytes.status());
    // The first message also says the size, so there is one for an empty rest too.
    if (bytes->empty() && piece_.size() == 0) return call_->Finish(absl::OkStatus());
    offset_ += static_cast<int64_t>(bytes->size());
    const bool last = bytes->empty();
    piece_.set_data(std::move(*bytes));
    call_->Write(piece_);
    if (last) call_->Finish(absl::OkStatus());
    piece_.Clear();
  }

  BlobStore& blobs_;
  EventLoop& loop_;
  const std::shared_ptr<rpc::ServerCall> call_;
  // On the loop only.
  std::unique_ptr<BlobReader> reader_;
  int64_t offset_ = 0;
  v1::FetchBlobResponse piece_;
};

}  // namespace

std::shared_ptr<rpc::CallSink> ServeFetchBlob(BlobStore& blobs, EventLoop& loop,
                                              const CheckNode& check,
                                              const std::shared_ptr<rpc::ServerCall>& call) {
  const absl::StatusOr<NodeIdentity> identity = NodeFromUris(call->peer_uris());
  if (!identity.ok()) {
    call->Finish(identity.status());
    return nullptr;
  }
  auto sink = std::make_shared<FetchBlobCall>(blobs, loop, call);
  check(*identity, [call](const absl::Status& accepted) {
    if (!accepted.ok()) return call->Finish(accepted);
    call->Read();
  });
  return sink;
}

}  // namespace appsup::entry
