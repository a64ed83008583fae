#include "agent/log/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/log/utf8.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

constexpr int64_t kBlock = 64 << 10;

}  // namespace

absl::StatusOr<LogFile> LogFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return ErrnoError(errno, "open " + path);
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return absl::FailedPreconditionError(path + " is no file");
  }
  return LogFile(fd, path, info.st_size, absl::TimeFromTimespec(info.st_mtim));
}

LogFile::LogFile(int fd, std::string path, int64_t size, absl::Time modified)
    : fd_(fd), path_(std::move(path)), size_(size), modified_(modified) {}

LogFile::LogFile(LogFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      size_(other.size_),
      modified_(other.modified_) {}

LogFile::~LogFile() {
  if (fd_ >= 0) close(fd_);
}

int64_t LogFile::FirstData() const {
  const off_t first = lseek(fd_, 0, SEEK_DATA);
  if (first >= 0) return std::min<int64_t>(first, size_);
  // ENXIO: all hole. Where the file system knows no holes, everything is data.
  return errno == ENXIO ? size_ : 0;
}

absl::StatusOr<std::string> LogFile::Bytes(int64_t offset, int64_t count) const {
  std::string bytes(static_cast<size_t>(std::max<int64_t>(0, std::min(count, size_ - offset))), 0);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = pread(fd_, bytes.data() + done, bytes.size() - done,
                              static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "read " + path_);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

absl::StatusOr<int64_t> LogFile::FirstWholeLine(int64_t first_data, int max_line_bytes) const {
  if (first_data == 0) return 0;
  // Holes end at blocks of the file system, in the middle of a line more often than not. The line
  // before may end exactly there, but nobody can tell any more.
  ASSIGN_OR_RETURN(const std::string bytes, Bytes(first_data, max_line_bytes));
  const size_t newline = bytes.find('\n');
  if (newline == std::string::npos) return first_data;
  return first_data + static_cast<int64_t>(newline) + 1;
}

absl::StatusOr<LogPiece> LogFile::Read(int64_t offset, int max_bytes, int max_line_bytes,
                                       bool take_partial) const {
  LogPiece piece;
  for (;;) {
    const int64_t first = FirstData();
    piece.offset = offset;
    if (offset < first || offset > size_) {
      ASSIGN_OR_RETURN(piece.offset, FirstWholeLine(first, max_line_bytes));
    }
    ASSIGN_OR_RETURN(piece.data, Bytes(piece.offset, max_bytes));
    // The keeper may have freed in between what was read as zeros.
    if (piece.data.empty() || FirstData() <= piece.offset) break;
  }
  const size_t newline = piece.data.rfind('\n');
  const bool at_end = piece.offset + static_cast<int64_t>(piece.data.size()) >= size_;
  if (newline != std::string::npos) {
    if (newline + 1 == piece.data.size() || (at_end && take_partial)) return piece;
    piece.partial = at_end;
    piece.data.resize(newline + 1);
    return piece;
  }
  const size_t longest = static_cast<size_t>(std::min(max_bytes, max_line_bytes));
  if (piece.data.size() >= longest) {
    piece.data.resize(longest);
  } else if (!take_partial) {
    piece.partial = !piece.data.empty();
    piece.data.clear();
  }
  return piece;
}

absl::StatusOr<int64_t> LogFile::LinesBack(int lines, int* found) const {
  const int64_t first = FirstData();
  const int64_t lowest = std::max(first, size_ - kMaxTailScan);
  *found = 0;
  if (size_ <= first) return first;
  int64_t end = size_ - 1;  // The last byte ends or belongs to the last line either way.
  while (end > lowest) {
    const int64_t begin = std::max(lowest, end - kBlock);
    ASSIGN_OR_RETURN(const std::string bytes, Bytes(begin, end - begin));
    for (size_t at = bytes.size(); at-- > 0;) {
      if (bytes[at] == '\n' && ++*found == lines) return begin + static_cast<int64_t>(at) + 1;
    }
    end = begin;
  }
  ++*found;
  return lowest == first ? FirstWholeLine(first, static_cast<int>(kBlock)) : lowest;
}

absl::StatusOr<int64_t> LogFile::LineStart(int64_t offset) const {
  const int64_t lowest = std::max(FirstData(), offset - kBlock);
  if (offset <= lowest || offset > size_) return std::min(offset, size_);
  ASSIGN_OR_RETURN(const std::string bytes, Bytes(lowest, offset - lowest));
  const size_t newline = bytes.rfind('\n');
  return newline == std::string::npos ? lowest : lowest + static_cast<int64_t>(newline) + 1;
}

std::vector<std::string> TailLines(const std::string& bytes, int lines, int max_characters) {
  std::vector<std::string> tail;
  size_t end = bytes.size();
  if (end > 0 && bytes[end - 1] == '\n') --end;
  while (end > 0 && tail.size() < static_cast<size_t>(lines)) {
    const size_t newline = bytes.rfind('\n', end - 1);
    const size_t begin = newline == std::string::npos ? 0 : newline + 1;
    std::string line = bytes.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    tail.push_back(ToUtf8(line, static_cast<size_t>(max_characters)));
    if (newline == std::string::npos) break;
    end = newline;
  }
  std::reverse(tail.begin(), tail.end());
  return tail;
}

}  // namespace appsup::agent
