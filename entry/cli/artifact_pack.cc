#include "entry/cli/artifact_pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "common/file.h"
#include "common/status.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlock = 256 << 10;

struct FreeWriter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using WriterPtr = std::unique_ptr<archive, FreeWriter>;
using EntryPtr = std::unique_ptr<archive_entry, FreeEntry>;

absl::Status PackError(archive* writer, const std::string& path) {
  const char* what = archive_error_string(writer);
  return absl::InternalError(fmt::format("packing {}: {}", path, what == nullptr ? "?" : what));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status CopyContent(archive* writer, const std::string& path) {
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return ErrnoError(errno, "open " + path);
  std::vector<char> block(kBlock);
  while (true) {
    const ssize_t length = read(file.fd(), block.data(), block.size());
    if (length < 0) return ErrnoError(errno, "read " + path);
    if (length == 0) return absl::OkStatus();
    if (archive_write_data(writer, block.data(), static_cast<size_t>(length)) < 0) {
      return PackError(writer, path);
    }
  }
}

// Times and owners are left out: they would change the digest and matter to nobody.
absl::Status AddPath(archive* writer, const std::string& path, const std::string& name) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return ErrnoError(errno, "stat " + path);
  const EntryPtr entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_mode(entry.get(), info.st_mode);
  archive_entry_set_mtime(entry.get(), 0, 0);
  if (S_ISLNK(info.st_mode)) {
    archive_entry_set_symlink(entry.get(), fs::read_symlink(path).c_str());
  } else if (S_ISREG(info.st_mode)) {
    archive_entry_set_size(entry.get(), info.st_size);
  } else if (!S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        fmt::format("{} is neither a file, a folder nor a link and cannot be packed", path));
  }
  if (archive_write_header(writer, entry.get()) != ARCHIVE_OK) return PackError(writer, path);
  return S_ISREG(info.st_mode) ? CopyContent(writer, path) : absl::OkStatus();
}

absl::Status PackFolder(const std::string& folder, int fd) {
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  const WriterPtr writer(archive_write_new());
  archive_write_set_format_pax_restricted(writer.get());
  archive_write_add_filter_gzip(writer.get());
  archive_write_set_filter_option(writer.get(), "gzip", "timestamp", nullptr);
  if (archive_write_open_fd(writer.get(), fd) != ARCHIVE_OK) {
    return PackError(writer.get(), folder);
  }
  for (const std::string& path : paths) {
    RETURN_IF_ERROR(AddPath(writer.get(), path, fs::path(path).lexically_relative(folder)));
  }
  if (archive_write_close(writer.get()) != ARCHIVE_OK) return PackError(writer.get(), folder);
  return absl::OkStatus();
}

}  // namespace

PackedArtifact::PackedArtifact(PackedArtifact&& other) noexcept
    : path_(std::move(other.path_)),
      own_(std::exchange(other.own_, false)),
      sha256_(std::move(other.sha256_)) {}

PackedArtifact::~PackedArtifact() {
  if (own_) unlink(path_.c_str());
}

absl::StatusOr<PackedArtifact> PackedArtifact::Of(const std::string& path) {
  // The one place of packing where exceptions of std::filesystem end.
  try {
    if (!fs::exists(path)) {
      return absl::NotFoundError(fmt::format("there is no file or folder {}", path));
    }
    if (!fs::is_directory(path)) {
      PackedArtifact artifact(path, false);
      ASSIGN_OR_RETURN(artifact.sha256_, Sha256File(path));
      return artifact;
    }
    std::string pattern = fs::temp_directory_path() / "appsup-artifact-XXXXXX";
    const File file(mkostemp(pattern.data(), O_CLOEXEC));
    if (file.fd() < 0) return ErrnoError(errno, "make a file in " + pattern);
    PackedArtifact artifact(pattern, true);
    RETURN_IF_ERROR(PackFolder(path, file.fd()));
    ASSIGN_OR_RETURN(artifact.sha256_, Sha256File(artifact.path_));
    return artifact;
  } catch (const fs::filesystem_error& error) {
    return ErrnoError(error.code().value(), fmt::format("pack {}", path));
  }
}

}  // namespace appsup::cli
