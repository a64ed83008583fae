#include "common/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/digest.h"
#include "common/id.h"
#include "common/random.h"
#include "common/status.h"
#include "fmt/format.h"

namespace appsup {
namespace {

constexpr size_t kChunkBytes = size_t{64} << 10;

absl::Status LastError(std::string_view act, const std::string& path) {
  return ErrnoError(errno, fmt::format("{} {}", act, path));
}

std::string ParentOf(const std::string& path) {
  size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status WriteAll(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    ssize_t written = write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return LastError("write", path);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// close(2) may be the first to tell of a failed write (NFS, quota).
absl::Status WriteNewFile(const std::string& path, std::string_view data, mode_t mode) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return LastError("create", path);
  absl::Status status = WriteAll(fd, data, path);
  if (status.ok() && fchmod(fd, mode) != 0) status = LastError("chmod", path);
  if (status.ok() && fsync(fd) != 0) status = LastError("fsync", path);
  if (close(fd) != 0 && status.ok()) status = LastError("close", path);
  return status;
}

absl::Status SyncDir(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return LastError("open folder", path);
  absl::Cleanup closer = [fd] { close(fd); };
  if (fsync(fd) != 0) return LastError("fsync folder", path);
  return absl::OkStatus();
}

// Hands the file to `take` in chunks; false from it ends the reading.
template <class Take>
absl::Status ForEachChunk(const std::string& path, Take take) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return LastError("open", path);
  absl::Cleanup closer = [fd] { close(fd); };
  std::string buffer(kChunkBytes, '\0');
  while (true) {
    ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return LastError("read", path);
    if (got == 0) return absl::OkStatus();
    if (!take(std::string_view(buffer.data(), static_cast<size_t>(got)))) return absl::OkStatus();
  }
}

absl::Status MakeOneDir(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) {
    // mkdir(2) takes the umask off.
    if (chmod(path.c_str(), mode) != 0) return LastError("chmod", path);
    return absl::OkStatus();
  }
  const int mkdir_error = errno;
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return ErrnoError(mkdir_error, "create folder " + path);
  if (S_ISDIR(info.st_mode)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{} should be a folder but is something else; move it away", path));
}

}  // namespace

absl::Status AtomicWriteFile(const std::string& path, std::string_view data, mode_t mode) {
  SystemRandom random;
  const std::string temporary = fmt::format("{}.{}.tmp", path, ShortId(random, 12));
  absl::Status status = WriteNewFile(temporary, data, mode);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0)
    status = LastError("rename to", path);
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncDir(ParentOf(path));
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit) {
  std::string data;
  RETURN_IF_ERROR(ForEachChunk(path, [&](std::string_view chunk) {
    data.append(chunk);
    return data.size() <= limit;
  }));
  if (data.size() > limit) {
    return absl::ResourceExhaustedError(
        fmt::format("{} has more than the {} bytes that are allowed here", path, limit));
  }
  return data;
}

absl::Status EnsureDir(const std::string& path, mode_t mode) {
  if (path.empty()) return absl::InvalidArgumentError("the path of a folder is empty");
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    RETURN_IF_ERROR(MakeOneDir(path.substr(0, slash), mode));
  }
  return MakeOneDir(path, mode);
}

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path absolute = std::filesystem::absolute(path, failed);
  if (failed) {
    return absl::FailedPreconditionError(
        fmt::format("find \"{}\" from the working folder: {}", path, failed.message()));
  }
  return absolute.lexically_normal().string();
}

absl::StatusOr<std::string> Sha256File(const std::string& path) {
  Sha256 digest;
  RETURN_IF_ERROR(ForEachChunk(path, [&](std::string_view chunk) {
    digest.Update(chunk);
    return true;
  }));
  return digest.FinishHex();
}

}  // namespace appsup
