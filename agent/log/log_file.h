#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace appsup::agent {

// A run of bytes that begins and ends with lines, as far as lines are short enough.
struct LogPiece {
  int64_t offset = 0;    // Of the first byte; beyond the one asked for if the head is gone.
  std::string data;      // Empty: nothing (whole) is there yet.
  bool partial = false;  // Bytes of an unfinished line were held back.
};

// One stream of one attempt, open for reading. The head of the file may be a hole at any time.
class LogFile {
 public:
  static constexpr int64_t kMaxTailScan = 16 << 20;  // How far back LinesBack looks.

  // NOT_FOUND if absent. Does not follow a symbolic link.
  static absl::StatusOr<LogFile> Open(const std::string& path);
  ~LogFile();
  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&&) = delete;

  int64_t size() const { return size_; }  // When it was opened.
  absl::Time modified() const { return modified_; }
  // Offset of the first byte that still exists; size() if none does.
  int64_t FirstData() const;

  // Whole lines from `offset` on, at most `max_bytes`; a line longer than `max_line_bytes` (or than
  // max_bytes) comes in pieces. `take_partial`: the unfinished last line too. From a freed head, or
  // from beyond the end, reading begins with the first line that is whole.
  absl::StatusOr<LogPiece> Read(int64_t offset, int max_bytes, int max_line_bytes,
                                bool take_partial) const;

  // Where the last `lines` lines begin, an unfinished one included. If there are fewer, `found` is
  // their number and the result is FirstData().
  absl::StatusOr<int64_t> LinesBack(int lines, int* found) const;

  // Beginning of the line that the byte at `offset` belongs to.
  absl::StatusOr<int64_t> LineStart(int64_t offset) const;

 private:
  LogFile(int fd, std::string path, int64_t size, absl::Time modified);
  // Up to `count` bytes; fewer only at the end of the file.
  absl::StatusOr<std::string> Bytes(int64_t offset, int64_t count) const;
  absl::StatusOr<int64_t> FirstWholeLine(int64_t first_data, int max_line_bytes) const;

  int fd_;
  std::string path_;
  int64_t size_;
  absl::Time modified_;
};

// The last `lines` lines, oldest first, as valid UTF-8 of at most `max_characters` each.
std::vector<std::string> TailLines(const std::string& bytes, int lines, int max_characters);

}  // namespace appsup::agent
