#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// How long a log of this bound may be left alone after it grew by `grown` bytes in `elapsed`
// nanoseconds: until it would have grown by an eighth of its bound, at least 20 ms, at most
// `quiet`.
int64_t LookPause(int64_t bound, int64_t grown, int64_t elapsed, int64_t quiet);

// How long logs that hardly grow are left alone: 100 ms, and with many of them up to a second.
int64_t QuietPause(size_t logs);

// A log that an app appends to and the keeper bounds. Offsets never move: the head becomes a hole.
class LogFile {
 public:
  LogFile(UniqueFd file, int64_t bound) : file_(std::move(file)), bound_(bound) {}

  int fd() const { return file_.get(); }

  // Punches out what lies more than the bound before the end, and decides when to look again. An
  // error (the file system cannot do it) is returned once; the file is left alone from then on.
  absl::Status Bound(int64_t now, int64_t quiet);

  // CLOCK_BOOTTIME nanoseconds; 0 before the first look.
  int64_t next_look() const { return next_look_; }

 private:
  UniqueFd file_;
  int64_t bound_;
  int64_t punched_ = 0;
  int64_t size_ = 0;  // As of last_look_.
  int64_t last_look_ = 0;
  int64_t next_look_ = 0;
};

}  // namespace appsup::keeper
