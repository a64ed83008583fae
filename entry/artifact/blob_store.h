#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/digest.h"
#include "common/mutex.h"
#include "common/random.h"

namespace appsup::entry {

struct BlobStoreOptions {
  std::string dir;                              // Made (0700) if absent.
  int64_t max_blob_bytes = int64_t{4} << 30;    // Of one blob.
  int64_t max_total_bytes = int64_t{64} << 30;  // Of all, uploads under way included.
};

struct BlobInfo {
  std::string sha256;
  int64_t size = 0;
  absl::Time create_time;
  bool operator==(const BlobInfo&) const = default;
};

class BlobStore;

// One upload. One thread at a time; must not outlive its store. Destroyed without Finish, nothing
// stays behind.
class BlobWriter {
 public:
  ~BlobWriter();
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;

  // RESOURCE_EXHAUSTED beyond a bound of the options or on a full disk. After an error: destroy it.
  absl::Status Append(std::string_view data);

  // Verifies the digest, syncs, and gives the blob its name. INVALID_ARGUMENT with both digests if
  // they differ. Blocks for as long as the disk needs. Once.
  absl::StatusOr<BlobInfo> Finish();

 private:
  friend class BlobStore;
  BlobWriter(BlobStore& store, std::string sha256, std::string temp_path, int fd);

  BlobStore& store_;
  const std::string sha256_;
  std::string temp_path_;  // Empty once it was renamed.
  int fd_;
  int64_t size_ = 0;
  Sha256 digest_;
};

// An open blob; stays readable after Remove. Thread-safe, independent of the store's life.
class BlobReader {
 public:
  ~BlobReader();
  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;

  int64_t size() const { return size_; }
  // Up to `max_bytes` from `offset`; empty only at the end. OUT_OF_RANGE for an offset outside of
  // 0..size.
  absl::StatusOr<std::string> ReadAt(int64_t offset, size_t max_bytes) const;

 private:
  friend class BlobStore;
  BlobReader(int fd, int64_t size) : fd_(fd), size_(size) {}
  const int fd_;
  const int64_t size_;
};

// Blobs pushed to the entry, on its disk as `<dir>/<sha256>`; uploads under way are
// `<dir>/upload-*`, which Open removes. A blob that can be seen is whole and verified.
// Thread-safe. Begin, Append, Finish, ReadAt and Remove block on the disk: not for the core thread.
class BlobStore {
 public:
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(BlobStoreOptions options, Random& random);

  // ALREADY_EXISTS if it is there: nothing needs to be sent. INVALID_ARGUMENT if `sha256` is not 64
  // lower-case hex digits. Several writers of one blob may run; the last to finish changes nothing.
  absl::StatusOr<std::unique_ptr<BlobWriter>> Begin(const std::string& sha256);

  // NOT_FOUND, here and below, names the blob.
  absl::StatusOr<std::unique_ptr<BlobReader>> OpenBlob(const std::string& sha256) const;
  absl::StatusOr<BlobInfo> Stat(const std::string& sha256) const;
  absl::Status Remove(const std::string& sha256);

  // At most `limit` blobs with digests greater than `after`, in order. "" is the beginning.
  std::vector<BlobInfo> List(const std::string& after, size_t limit) const;

  int64_t total_bytes() const;

 private:
  friend class BlobWriter;
  BlobStore(BlobStoreOptions options, Random& random);

  absl::Status Scan();
  // Counts `bytes` of an upload against the bounds; Release gives them back.
  absl::Status Reserve(int64_t blob_bytes, int64_t more);
  void Release(int64_t bytes);
  // The upload's file has its name now; its reserved bytes become the blob's.
  BlobInfo Publish(const BlobInfo& info);

  const BlobStoreOptions options_;
  Random& random_;
  mutable Mutex mutex_;
  std::map<std::string, BlobInfo> blobs_ ABSL_GUARDED_BY(mutex_);
  int64_t stored_bytes_ ABSL_GUARDED_BY(mutex_) = 0;    // Sum over blobs_.
  int64_t reserved_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // Sum over writers.
};

}  // namespace appsup::entry
