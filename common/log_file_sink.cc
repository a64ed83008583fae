#include "common/log_file_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "common/status.h"

namespace appsup {

LogFileSink::~LogFileSink() {
  if (fd_ >= 0) close(fd_);
}

absl::Status LogFileSink::Open() {
  int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return ErrnoError(errno, "open log file " + path_);
  std::lock_guard<std::mutex> lock(mutex_);
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
  return absl::OkStatus();
}

void LogFileSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  const char* rest = line.data();
  const char* end = line.data() + line.size();
  while (rest < end) {
    ssize_t written = write(fd_, rest, static_cast<size_t>(end - rest));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    rest += written;
  }
}

}  // namespace appsup
