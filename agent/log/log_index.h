#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace appsup::agent {

// What time goes with what offset of a log file: records of 16 bytes (microseconds since 1970, size
// of the log at that time; both little-endian) in a file beside it. Never more than kMaxEntries:
// at that number entries of the freed head are dropped, then every second one. So the newest half
// hour of a busy log is known by the second, and older times ever more coarsely.
class LogIndex {
 public:
  static constexpr int64_t kMaxEntries = 4096;

  explicit LogIndex(std::string path) : path_(std::move(path)) {}

  // The log had `size` bytes at `time`; below `first_data` nothing is left of it.
  absl::Status Append(absl::Time time, int64_t size, int64_t first_data);

  // An offset such that everything written at or after `time` is at it or behind it: the best that
  // is known, 0 if nothing is.
  absl::StatusOr<int64_t> Find(absl::Time time) const;

 private:
  std::string path_;
};

}  // namespace appsup::agent
