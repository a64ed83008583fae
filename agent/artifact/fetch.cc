#include "agent/artifact/fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "agent/artifact/artifact_error.h"
#include "common/status.h"
#include "common/text_units.h"

namespace appsup::agent {

Fetch::Fetch(ArtifactRequest request, FetchLimits limits, std::string path, BlobFetcher* blobs,
             std::shared_ptr<const std::atomic<bool>> cancelled)
    : request_(std::move(request)),
      limits_(limits),
      path_(std::move(path)),
      blobs_(blobs),
      cancelled_(std::move(cancelled)),
      digest_(std::make_unique<Sha256>()) {}

Fetch::~Fetch() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(path_.c_str());
}

absl::Status Fetch::Try(const Progress& progress) {
  if (*cancelled_) return absl::CancelledError("nobody waits for it any more");
  RETURN_IF_ERROR(Open());
  if (size_ > 0 && !MayResume()) RETURN_IF_ERROR(Restart());
  if (size_ > 0) resumed_ = true;
  RETURN_IF_ERROR(request_.blob ? TryBlob(progress) : TryUri(progress));
  return Verify();
}

bool Fetch::MayResume() const { return !request_.sha256.empty() || !etag_.empty(); }

absl::Status Fetch::Open() {
  if (fd_ >= 0) return absl::OkStatus();
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  return fd_ >= 0 ? absl::OkStatus() : ArtifactDiskError(errno, "create " + path_);
}

absl::Status Fetch::Restart() {
  if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) != 0) {
    return ArtifactDiskError(errno, "truncate " + path_);
  }
  size_ = 0;
  digest_ = std::make_unique<Sha256>();
  etag_.clear();
  resumed_ = false;
  return absl::OkStatus();
}

absl::Status Fetch::Write(std::string_view data) {
  if (size_ + static_cast<int64_t>(data.size()) > limits_.max_bytes) {
    return ArtifactTooLarge("fetch " + request_.Display() + ": it has more than " +
                            FormatBytes(limits_.max_bytes) +
                            ", the most that an artifact may have");
  }
  digest_->Update(data);
  size_ += static_cast<int64_t>(data.size());
  while (!data.empty()) {
    const ssize_t written = write(fd_, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ArtifactDiskError(errno, "write " + path_);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status Fetch::TryBlob(const Progress& progress) {
  int64_t total = -1;
  absl::Status write_error;
  BlobFetcher::Sink sink;
  sink.on_size = [&](int64_t size) { total = size; };
  sink.on_data = [&](std::string_view data) {
    write_error = Write(data);
    progress(size_, total);
    return write_error;
  };
  sink.cancelled = [this] { return cancelled_->load(); };
  const absl::Status status = blobs_->FetchBlob(request_.sha256, size_, sink);
  RETURN_IF_ERROR(write_error);
  if (*cancelled_) return absl::CancelledError("nobody waits for it any more");
  if (status.ok()) return status;
  return MakeError(
      status.code(), absl::IsNotFound(status) ? kArtifactNotFound : kArtifactUnreachable,
      "fetch " + request_.Display() + " from the entry: " + std::string(status.message()));
}

absl::Status Fetch::Verify() {
  sha256_ = digest_->FinishHex();
  digest_ = std::make_unique<Sha256>();
  if (request_.sha256.empty() || request_.sha256 == sha256_) return absl::OkStatus();
  const bool was_resumed = resumed_;
  const int64_t size = size_;
  RETURN_IF_ERROR(Restart());
  const std::string message = "fetch " + request_.Display() + ": the " + std::to_string(size) +
                              " bytes have sha256 " + sha256_ + ", expected " + request_.sha256;
  // The source may have changed between two answers; from one answer it is what it is.
  const auto code =
      was_resumed ? absl::StatusCode::kUnavailable : absl::StatusCode::kFailedPrecondition;
  return MakeError(code, kArtifactDigestMismatch, message,
                   {{"expected", request_.sha256}, {"actual", sha256_}});
}

}  // namespace appsup::agent
