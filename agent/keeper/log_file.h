#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// A log that an app appends to and the keeper bounds. Offsets never move: the head becomes a hole.
class LogFile {
 public:
  LogFile(UniqueFd file, std::string path, int64_t bound)
      : file_(std::move(file)), path_(std::move(path)), bound_(bound) {}

  int fd() const { return file_.get(); }
  const std::string& path() const { return path_; }

  // Punches out what lies more than the bound before the end. An error (the file system cannot do
  // it) is returned once; the file is left alone from then on.
  absl::Status Bound();

 private:
  UniqueFd file_;
  std::string path_;
  int64_t bound_;
  int64_t punched_ = 0;
};

}  // namespace appsup::keeper
