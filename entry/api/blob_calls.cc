#include "entry/api/blob_calls.h"

#include <algorithm>
#include <utility>

#include "appsupervisor/v1/artifact_service.pb.h"
#include "common/status.h"
#include "entry/artifact/blob_name.h"
#include "entry/core/proto_time.h"

namespace appsup::entry {
namespace {

namespace v1 = ::appsupervisor::v1;

constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 1000;

v1::Blob ToProto(const BlobInfo& info) {
  v1::Blob blob;
  blob.set_name(BlobName(info.sha256));
  blob.set_size(info.size);
  *blob.mutable_create_time() = ToTimestamp(info.create_time);
  return blob;
}

// What all calls of the service share: the right to make them, and the loop.
class BlobCall : public rpc::CallSink {
 public:
  BlobCall(BlobStore& blobs, EventLoop& loop, const Callers& callers,
           std::shared_ptr<rpc::ServerCall> call, Principal principal)
      : blobs_(blobs),
        loop_(loop),
        callers_(callers),
        call_(std::move(call)),
        principal_(std::move(principal)) {}

  void OnWritten() override {}
  void OnDone() override {}

 protected:
  bool Allowed(const google::protobuf::Message& request) {
    const absl::Status status = callers_.Allow(principal_, *call_, request);
    if (!status.ok()) call_->Finish(status);
    return status.ok();
  }

  BlobStore& blobs_;
  EventLoop& loop_;
  const Callers& callers_;
  const std::shared_ptr<rpc::ServerCall> call_;
  const Principal principal_;
};

class Upload : public BlobCall, public std::enable_shared_from_this<Upload> {
 public:
  using BlobCall::BlobCall;

  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    if (!Allowed(*message)) return;
    std::shared_ptr<v1::UploadBlobRequest> request(
        static_cast<v1::UploadBlobRequest*>(message.release()));
    loop_.Post([self = shared_from_this(), request] { self->Take(*request); });
  }

  void OnReadsDone() override {
    loop_.Post([self = shared_from_this()] { self->End(); });
  }

  void OnDone() override {
    loop_.Post([self = shared_from_this()] { self->writer_.reset(); });
  }

 private:
  void Take(const v1::UploadBlobRequest& request) {
    const absl::Status status = writer_ == nullptr ? Begin(request) : Append(request);
    if (!status.ok()) return Refuse(status);
    call_->Read();
  }

  absl::Status Begin(const v1::UploadBlobRequest& first) {
    if (first.part_case() != v1::UploadBlobRequest::kSha256) {
      return MakeError(absl::StatusCode::kInvalidArgument, "DIGEST_MISSING",
                       "the first message of an upload must carry sha256");
    }
    sha256_ = first.sha256();
    ASSIGN_OR_RETURN(writer_, blobs_.Begin(sha256_));
    return absl::OkStatus();
  }

  absl::Status Append(const v1::UploadBlobRequest& request) {
    if (request.part_case() != v1::UploadBlobRequest::kData) {
      return MakeError(absl::StatusCode::kInvalidArgument, "DATA_MISSING",
                       "every message of an upload but the first must carry data");
    }
    return writer_->Append(request.data());
  }

  // That the blob is there already is a success: it need not be sent.
  void Refuse(const absl::Status& status) {
    writer_.reset();
    absl::StatusOr<BlobInfo> present = status;
    if (absl::IsAlreadyExists(status)) present = blobs_.Stat(sha256_);
    Answer(present);
  }

  void End() {
    if (writer_ == nullptr) {
      return call_->Finish(MakeError(absl::StatusCode::kInvalidArgument, "DIGEST_MISSING",
                                     "the upload ended before its first message"));
    }
    const absl::StatusOr<BlobInfo> info = writer_->Finish();
    writer_.reset();
    Answer(info);
  }

  void Answer(const absl::StatusOr<BlobInfo>& info) {
    if (!info.ok()) return call_->Finish(info.status());
    call_->FinishWith(ToProto(*info));
  }

  // Both on the loop only.
  std::string sha256_;
  std::unique_ptr<BlobWriter> writer_;
};

class Get : public BlobCall {
 public:
  using BlobCall::BlobCall;

  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    if (!Allowed(*message)) return;
    const auto& request = static_cast<const v1::GetBlobRequest&>(*message);
    loop_.Post([call = call_, &blobs = blobs_, name = request.name()] {
      const absl::StatusOr<std::string> sha256 = ParseBlobName("name", name);
      if (!sha256.ok()) return call->Finish(sha256.status());
      const absl::StatusOr<BlobInfo> info = blobs.Stat(*sha256);
      if (!info.ok()) return call->Finish(info.status());
      call->FinishWith(ToProto(*info));
    });
  }
  void OnReadsDone() override { call_->Finish(absl::InvalidArgumentError("no request was sent")); }
};

class List : public BlobCall {
 public:
  using BlobCall::BlobCall;

  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    if (!Allowed(*message)) return;
    const auto& request = static_cast<const v1::ListBlobsRequest&>(*message);
    if (request.page_size() < 0) {
      return call_->Finish(MakeError(absl::StatusCode::kInvalidArgument, "INVALID_PAGE_SIZE",
                                     "page_size must not be negative", {},
                                     {{"page_size", "must not be negative"}}));
    }
    const size_t size =
        request.page_size() == 0 ? kDefaultPage : std::min(request.page_size(), kMaxPage);
    // A page token is the last digest of the page before: digests are no secrets here.
    const std::vector<BlobInfo> page = blobs_.List(request.page_token(), size + 1);
    v1::ListBlobsResponse response;
    for (size_t i = 0; i < std::min(size, page.size()); ++i) {
      *response.add_blobs() = ToProto(page[i]);
    }
    if (page.size() > size) response.set_next_page_token(page[size - 1].sha256);
    call_->FinishWith(response);
  }
  void OnReadsDone() override { call_->Finish(absl::InvalidArgumentError("no request was sent")); }
};

}  // namespace

std::shared_ptr<rpc::CallSink> ServeBlobCall(BlobStore& blobs, EventLoop& loop,
                                             const Callers& callers,
                                             const std::shared_ptr<rpc::ServerCall>& call,
                                             const Principal& principal) {
  const std::string& method = call->method().name();
  if (method == "UploadBlob")
    return std::make_shared<Upload>(blobs, loop, callers, call, principal);
  if (method == "GetBlob") return std::make_shared<Get>(blobs, loop, callers, call, principal);
  if (method == "ListBlobs") return std::make_shared<List>(blobs, loop, callers, call, principal);
  call->Finish(absl::UnimplementedError(rpc::MethodName(call->method()) + " is not served"));
  return nullptr;
}

}  // namespace appsup::entry
