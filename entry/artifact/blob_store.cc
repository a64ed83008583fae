#include "entry/artifact/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/file.h"
#include "common/id.h"
#include "common/log.h"
#include "common/status.h"
#include "common/text_units.h"

namespace appsup::entry {
namespace {

namespace fs = std::filesystem;

constexpr char kUploadPrefix[] = "upload-";
constexpr size_t kUploadIdLength = 16;

bool IsDigest(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return ('0' <= c && c <= '9') || ('a' <= c && c <= 'f');
         });
}

absl::Status TooLarge(const std::string& message) {
  return MakeError(absl::StatusCode::kResourceExhausted, "BLOB_TOO_LARGE", message);
}

absl::Status NoBlob(const std::string& sha256) {
  return MakeError(absl::StatusCode::kNotFound, "BLOB_NOT_FOUND",
                   "blobs/" + sha256 + " does not exist; push it first", {{"sha256", sha256}});
}

absl::Status SyncFolder(const std::string& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "open " + dir);
  const int failed = fsync(fd) != 0 ? errno : 0;
  close(fd);
  return failed == 0 ? absl::OkStatus() : ErrnoError(failed, "sync " + dir);
}

}  // namespace

// --- BlobWriter ---

BlobWriter::BlobWriter(BlobStore& store, std::string sha256, std::string temp_path, int fd)
    : store_(store), sha256_(std::move(sha256)), temp_path_(std::move(temp_path)), fd_(fd) {}

BlobWriter::~BlobWriter() {
  close(fd_);
  if (temp_path_.empty()) return;
  unlink(temp_path_.c_str());
  store_.Release(size_);
}

absl::Status BlobWriter::Append(std::string_view data) {
  const auto more = static_cast<int64_t>(data.size());
  RETURN_IF_ERROR(store_.Reserve(size_, more));
  size_ += more;
  digest_.Update(data);
  while (!data.empty()) {
    const ssize_t written = write(fd_, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "write " + temp_path_);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::StatusOr<BlobInfo> BlobWriter::Finish() {
  const std::string digest = digest_.FinishHex();
  if (digest != sha256_) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BLOB_DIGEST_MISMATCH",
                     "the " + std::to_string(size_) + " bytes sent have sha256 " + digest +
                         ", not " + sha256_ + " as announced; nothing was stored",
                     {{"announced", sha256_}, {"actual", digest}});
  }
  if (fsync(fd_) != 0) return ErrnoError(errno, "sync " + temp_path_);
  struct stat info {};
  if (fstat(fd_, &info) != 0) return ErrnoError(errno, "stat " + temp_path_);
  const std::string path = store_.options_.dir + "/" + sha256_;
  if (rename(temp_path_.c_str(), path.c_str()) != 0) {
    return ErrnoError(errno, "rename " + temp_path_ + " to " + path);
  }
  temp_path_.clear();
  const BlobInfo stored = store_.Publish({sha256_, size_, absl::TimeFromTimespec(info.st_mtim)});
  RETURN_IF_ERROR(SyncFolder(store_.options_.dir));
  return stored;
}

// --- BlobReader ---

BlobReader::~BlobReader() { close(fd_); }

absl::StatusOr<std::string> BlobReader::ReadAt(int64_t offset, size_t max_bytes) const {
  if (offset < 0 || offset > size_) {
    return MakeError(absl::StatusCode::kOutOfRange, "OFFSET_OUT_OF_RANGE",
                     "offset " + std::to_string(offset) + " is outside of the blob, which has " +
                         std::to_string(size_) + " bytes");
  }
  std::string data(std::min(max_bytes, static_cast<size_t>(size_ - offset)), 0);
  size_t done = 0;
  while (done < data.size()) {
    const ssize_t got = pread(fd_, data.data() + done, data.size() - done,
                              static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "read blob");
    if (got == 0) return absl::DataLossError("a stored blob became shorter");
    done += static_cast<size_t>(got);
  }
  return data;
}

// --- BlobStore ---

BlobStore::BlobStore(BlobStoreOptions options, Random& random)
    : options_(std::move(options)), random_(random) {}

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(BlobStoreOptions options,
                                                           Random& random) {
  RETURN_IF_ERROR(EnsureDir(options.dir, 0700));
  std::unique_ptr<BlobStore> store(new BlobStore(std::move(options), random));
  RETURN_IF_ERROR(store->Scan());
  return store;
}

absl::Status BlobStore::Scan() {
  MutexLock lock(&mutex_);
  std::error_code error;
  for (fs::directory_iterator at(options_.dir, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    const std::string path = at->path().string();
    if (name.rfind(kUploadPrefix, 0) == 0) {
      if (unlink(path.c_str()) != 0) return ErrnoError(errno, "remove " + path);
      continue;
    }
    struct stat info {};
    if (!IsDigest(name)) continue;
    if (lstat(path.c_str(), &info) != 0) return ErrnoError(errno, "stat " + path);
    if (!S_ISREG(info.st_mode)) continue;
    blobs_[name] = {name, info.st_size, absl::TimeFromTimespec(info.st_mtim)};
    stored_bytes_ += info.st_size;
  }
  if (error) return ErrnoError(error.value(), "list " + options_.dir);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BlobWriter>> BlobStore::Begin(const std::string& sha256) {
  if (!IsDigest(sha256)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_DIGEST",
                     "sha256: \"" + sha256 + "\" is not 64 lower-case hex digits", {},
                     {{"sha256", "must be 64 lower-case hex digits"}});
  }
  std::string path = options_.dir + "/" + kUploadPrefix;
  {
    MutexLock lock(&mutex_);
    if (blobs_.count(sha256) > 0) {
      return MakeError(absl::StatusCode::kAlreadyExists, "BLOB_EXISTS",
                       "blobs/" + sha256 + " is stored already", {{"sha256", sha256}});
    }
    path += ShortId(random_, kUploadIdLength);
  }
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(errno, "create " + path);
  return std::unique_ptr<BlobWriter>(new BlobWriter(*this, sha256, path, fd));
}

absl::StatusOr<std::unique_ptr<BlobReader>> BlobStore::OpenBlob(const std::string& sha256) const {
  ASSIGN_OR_RETURN(const BlobInfo info, Stat(sha256));
  const std::string path = options_.dir + "/" + sha256;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return NoBlob(sha256);  // Removed in between.
  if (fd < 0) return ErrnoError(errno, "open " + path);
  return std::unique_ptr<BlobReader>(new BlobReader(fd, info.size));
}

absl::StatusOr<BlobInfo> BlobStore::Stat(const std::string& sha256) const {
  MutexLock lock(&mutex_);
  const auto found = blobs_.find(sha256);
  if (found == blobs_.end()) return NoBlob(sha256);
  return found->second;
}

absl::Status BlobStore::Remove(const std::string& sha256) {
  RETURN_IF_ERROR(Stat(sha256));
  const std::string path = options_.dir + "/" + sha256;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoError(errno, "remove " + path);
  MutexLock lock(&mutex_);
  if (const auto found = blobs_.find(sha256); found != blobs_.end()) {
    stored_bytes_ -= found->second.size;
    blobs_.erase(found);
  }
  return absl::OkStatus();
}

std::vector<BlobInfo> BlobStore::List(const std::string& after, size_t limit) const {
  MutexLock lock(&mutex_);
  std::vector<BlobInfo> page;
  for (auto at = blobs_.upper_bound(after); at != blobs_.end() && page.size() < limit; ++at) {
    page.push_back(at->second);
  }
  return page;
}

int64_t BlobStore::total_bytes() const {
  MutexLock lock(&mutex_);
  return stored_bytes_;
}

absl::Status BlobStore::Reserve(int64_t blob_bytes, int64_t more) {
  if (blob_bytes + more > options_.max_blob_bytes) {
    return TooLarge("the blob has more than " + FormatBytes(options_.max_blob_bytes) +
                    ", the most that one may have");
  }
  MutexLock lock(&mutex_);
  if (stored_bytes_ + reserved_bytes_ + more > options_.max_total_bytes) {
    return TooLarge("the entry stores at most " + FormatBytes(options_.max_total_bytes) +
                    " of blobs; remove some that no revision uses");
  }
  reserved_bytes_ += more;
  return absl::OkStatus();
}

void BlobStore::Release(int64_t bytes) {
  MutexLock lock(&mutex_);
  reserved_bytes_ -= bytes;
}

BlobInfo BlobStore::Publish(const BlobInfo& info) {
  MutexLock lock(&mutex_);
  reserved_bytes_ -= info.size;
  const auto [at, added] = blobs_.emplace(info.sha256, info);
  // Another writer was quicker: the same bytes replaced its file.
  if (added) stored_bytes_ += info.size;
  return at->second;
}

}  // namespace appsup::entry
