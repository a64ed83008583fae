#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/artifact/artifact_request.h"
#include "agent/artifact/blob_fetcher.h"
#include "common/digest.h"

namespace appsup::agent {

struct FetchLimits {
  int64_t max_bytes = 0;
  absl::Duration connect_timeout;
  absl::Duration stall_timeout;
};

// Brings one artifact into a file and verifies it, over several tries: a try goes on where the one
// before broke off, if the source allows it and is known to be the same (by digest or ETag). One
// thread at a time. The file is removed with it.
class Fetch {
 public:
  using Progress = std::function<void(int64_t bytes, int64_t total)>;  // -1: total unknown.

  // `cancelled` may be set from any thread and ends a try within about a second. `blobs` may be
  // null if `request` names none.
  Fetch(ArtifactRequest request, FetchLimits limits, std::string path, BlobFetcher* blobs,
        std::shared_ptr<const std::atomic<bool>> cancelled);
  ~Fetch();
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  // One try; blocks. OK: the file is whole and has the digest that was asked for. UNAVAILABLE:
  // another try may help. CANCELLED.
  absl::Status Try(const Progress& progress);

  const std::string& path() const { return path_; }
  const std::string& sha256() const { return sha256_; }  // After OK.
  const ArtifactRequest& request() const { return request_; }

 private:
  struct Transfer;  // State of one HTTP try.

  absl::Status Open();
  absl::Status Restart();
  absl::Status Write(std::string_view data);
  absl::Status TryUri(const Progress& progress);
  absl::Status TryBlob(const Progress& progress);
  absl::Status Verify();
  bool MayResume() const;

  const ArtifactRequest request_;
  const FetchLimits limits_;
  const std::string path_;
  BlobFetcher* const blobs_;
  const std::shared_ptr<const std::atomic<bool>> cancelled_;
  int fd_ = -1;
  int64_t size_ = 0;  // Bytes in the file, all of them counted in digest_.
  std::unique_ptr<Sha256> digest_;
  std::string etag_;      // A strong one of the source, or empty.
  bool resumed_ = false;  // The bytes come from more than one answer.
  std::string sha256_;
};

}  // namespace appsup::agent
