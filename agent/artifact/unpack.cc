#include "agent/artifact/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "agent/artifact/artifact_error.h"
#include "agent/artifact/tree_writer.h"
#include "common/status.h"
#include "common/text_units.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::UnpackMode;

constexpr size_t kBlockBytes = 128 << 10;

struct OwnedFd {
  int fd;
  ~OwnedFd() { close(fd); }
};

struct CloseArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, CloseArchive>;

std::string Words(archive* reader) {
  const char* words = archive_error_string(reader);
  return words != nullptr ? words : "unknown error";
}

absl::Status WriteAt(int fd, const char* data, size_t size, off_t offset, const std::string& what) {
  while (size > 0) {
    const ssize_t written = pwrite(fd, data, size, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ArtifactDiskError(errno, "write " + what);
    data += written;
    offset += written;
    size -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

// libarchive converts names to the locale's characters and drops those that it has none for, which
// in the C locale are all but ASCII. For this thread and scope only.
class Utf8Locale {
 public:
  Utf8Locale() : own_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (own_ != nullptr) before_ = uselocale(own_);
  }
  ~Utf8Locale() {
    if (own_ == nullptr) return;
    uselocale(before_);
    freelocale(own_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t own_;
  locale_t before_ = nullptr;
};

// Reads the entries of one archive into a folder.
class Extraction {
 public:
  Extraction(std::string display, TreeWriter tree, const UnpackLimits& limits,
             const std::atomic<bool>& cancelled)
      : display_(std::move(display)),
        tree_(std::move(tree)),
        limits_(limits),
        cancelled_(cancelled) {}

  // False: the file is no archive.
  absl::StatusOr<bool> Run(const std::string& file) {
    const Utf8Locale locale;
    const Reader reader(archive_read_new());
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_filter_bzip2(reader.get());
    archive_read_support_filter_xz(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_format_tar(reader.get());
    archive_read_support_format_zip(reader.get());
    if (archive_read_open_filename(reader.get(), file.c_str(), kBlockBytes) != ARCHIVE_OK) {
      return NoArchive(reader.get());
    }
    for (;;) {
      if (cancelled_) return absl::CancelledError("nobody waits for it any more");
      archive_entry* entry = nullptr;
      const int result = archive_read_next_header(reader.get(), &entry);
      if (result == ARCHIVE_EOF) break;
      if (result < ARCHIVE_WARN && entries_ == 0) return NoArchive(reader.get());
      if (result < ARCHIVE_WARN) return Damaged(reader.get());
      if (++entries_ > limits_.max_entries) {
        return ArtifactTooLarge("unpack " + display_ + ": it has more than " +
                                std::to_string(limits_.max_entries) +
                                " entries, the most that an artifact may have");
      }
      RETURN_IF_ERROR(Add(reader.get(), entry));
    }
    RETURN_IF_ERROR(tree_.CheckLinks());
    return true;
  }

  int64_t bytes() const { return bytes_; }

 private:
  absl::Status Damaged(archive* reader) const {
    return InvalidArtifact("unpack " + display_ + ": " + Words(reader));
  }

  absl::StatusOr<bool> NoArchive(archive* reader) const {
    // libarchive's words for a first block that nothing in it knows.
    if (Words(reader) == "Unrecognized archive format") return false;
    return Damaged(reader);
  }

  // A name that the locale cannot hold may still have its UTF-8 form.
  static std::string Text(const char* bytes, const char* utf8) {
    return bytes != nullptr ? bytes : utf8 != nullptr ? utf8 : "";
  }

  absl::Status Add(archive* reader, archive_entry* entry) {
    const std::string name =
        Text(archive_entry_pathname(entry), archive_entry_pathname_utf8(entry));
    const std::string hard_link =
        Text(archive_entry_hardlink(entry), archive_entry_hardlink_utf8(entry));
    if (!hard_link.empty()) return tree_.AddHardLink(name, hard_link);
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        return tree_.AddFolder(name);
      case AE_IFLNK:
        return tree_.AddSymlink(
            name, Text(archive_entry_symlink(entry), archive_entry_symlink_utf8(entry)));
      case AE_IFREG:
        return AddFile(reader, entry, name);
      default:
        return InvalidArtifact("unpack " + display_ + ": the entry \"" + name +
                               "\" is neither a file, nor a folder, nor a link");
    }
  }

  absl::Status AddFile(archive* reader, archive_entry* entry, const std::string& name) {
    ASSIGN_OR_RETURN(const int fd, tree_.AddFile(name, (archive_entry_perm(entry) & 0111) != 0));
    const OwnedFd file{fd};
    int64_t size = 0;  // A hole at the end is no block.
    if (archive_entry_size_is_set(entry)) size = archive_entry_size(entry);
    RETURN_IF_ERROR(Count(size));
    int64_t end = size;
    for (;;) {
      if (cancelled_) return absl::CancelledError("nobody waits for it any more");
      const void* data = nullptr;
      size_t length = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(reader, &data, &length, &offset);
      if (result == ARCHIVE_EOF) break;
      if (result < ARCHIVE_WARN) return Damaged(reader);
      const int64_t block_end = offset + static_cast<int64_t>(length);
      if (block_end > end) {
        RETURN_IF_ERROR(Count(block_end - end));
        end = block_end;
      }
      RETURN_IF_ERROR(WriteAt(file.fd, static_cast<const char*>(data), length, offset, name));
    }
    if (ftruncate(file.fd, end) != 0) return ArtifactDiskError(errno, "write " + name);
    const timespec time{archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
    const timespec times[2] = {time, time};
    if (archive_entry_mtime_is_set(entry)) futimens(file.fd, times);
    return absl::OkStatus();
  }

  absl::Status Count(int64_t bytes) {
    bytes_ += bytes;
    if (bytes >= 0 && bytes_ <= limits_.max_bytes) return absl::OkStatus();
    return ArtifactTooLarge("unpack " + display_ + ": it unpacks to more than " +
                            FormatBytes(limits_.max_bytes) + ", the most that an artifact may");
  }

  const std::string display_;
  TreeWriter tree_;
  const UnpackLimits& limits_;
  const std::atomic<bool>& cancelled_;
  int64_t entries_ = 0;
  int64_t bytes_ = 0;
};

struct FileStart {
  int64_t size = 0;
  bool runnable = false;  // ELF, or a script.
};

absl::StatusOr<FileStart> LookAt(const std::string& file) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ArtifactDiskError(errno, "open " + file);
  const OwnedFd owned{fd};
  char head[4] = {};
  struct stat info {};
  if (pread(fd, head, sizeof(head), 0) < 0 || fstat(fd, &info) != 0) {
    return ArtifactDiskError(errno, "read " + file);
  }
  return FileStart{info.st_size, std::memcmp(head,
                                             "\x7F"
                                             "ELF",
                                             4) == 0 ||
                                     std::memcmp(head, "#!", 2) == 0};
}

// Both lie in the cache's folder: the bytes are not copied.
absl::Status Place(const std::string& file, const std::string& path, bool runnable) {
  if (link(file.c_str(), path.c_str()) != 0) return ArtifactDiskError(errno, "create " + path);
  if (chmod(path.c_str(), runnable ? 0755 : 0644) != 0) {
    return ArtifactDiskError(errno, "set the mode of " + path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Unpacked> Unpack(const std::string& file, const std::string& file_name,
                                const std::string& display, UnpackMode mode,
                                const std::string& into, const UnpackLimits& limits,
                                const std::atomic<bool>& cancelled) {
  ASSIGN_OR_RETURN(const FileStart start, LookAt(file));
  const bool try_archive = mode == UnpackMode::UNPACK_MODE_ARCHIVE ||
                           (mode != UnpackMode::UNPACK_MODE_NONE && !start.runnable);
  if (try_archive && start.size > 0) {
    ASSIGN_OR_RETURN(TreeWriter tree, TreeWriter::Open(into));
    Extraction extraction(display, std::move(tree), limits, cancelled);
    ASSIGN_OR_RETURN(const bool is_archive, extraction.Run(file));
    if (is_archive) return Unpacked{.bytes = extraction.bytes()};
  }
  if (mode == UnpackMode::UNPACK_MODE_ARCHIVE) {
    return InvalidArtifact("unpack " + display +
                           ": it is no archive (tar, tar.gz, tar.xz, tar.bz2, tar.zst or zip)");
  }
  RETURN_IF_ERROR(Place(file, into + "/" + file_name, start.runnable));
  return Unpacked{.bytes = start.size, .single_file = true};
}

}  // namespace appsup::agent
