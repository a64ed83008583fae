#pragma once

#include <spdlog/sinks/base_sink.h>

#include <mutex>
#include <string>

#include "absl/status/status.h"

namespace appsup {

// Appends log lines to a file that can be opened anew while others write (logrotate). spdlog's own
// file sinks cannot, and report failures by exceptions. Thread-safe.
class LogFileSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LogFileSink(std::string path) : path_(std::move(path)) {}
  ~LogFileSink() override;

  // Opens the path, again if it was open. On failure the present file stays in use.
  absl::Status Open();

 protected:
  // A full disk loses lines; there is no better place to say so.
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  const std::string path_;
  int fd_ = -1;  // Guarded by base_sink's mutex.
};

}  // namespace appsup
