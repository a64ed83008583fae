#include "agent/log/log_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

namespace fs = std::filesystem;
using appsupervisor::v1::LogStream;

constexpr char kRemovedMarker[] = "removed";  // Its time of change is the time of removal.
constexpr size_t kMaxUidBytes = 64;

const char* StreamName(LogStream stream) {
  return stream == LogStream::LOG_STREAM_STDERR ? "stderr" : "stdout";
}

// "12.stdout" -> 12.
std::optional<int64_t> AttemptOf(const std::string& file_name) {
  int64_t attempt = 0;
  const char* end = file_name.data() + file_name.size();
  const auto [stop, error] = std::from_chars(file_name.data(), end, attempt);
  if (error != std::errc() || stop == end || *stop != '.' || attempt < 0) return std::nullopt;
  return attempt;
}

// Names in a folder; none if it cannot be read.
std::vector<std::string> Names(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(dir, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  return names;
}

std::optional<absl::Time> ModifiedTime(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return std::nullopt;
  return absl::TimeFromTimespec(info.st_mtim);
}

void RemoveAll(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error)
    Log(LogLevel::kWarning, "log-remove-failed", {{"path", path}, {"error", error.message()}});
}

struct Attempt {
  int64_t bytes = 0;  // On disk.
  std::vector<std::string> paths;
};

std::map<int64_t, Attempt> ListAttempts(const std::string& dir) {
  std::map<int64_t, Attempt> attempts;
  for (const std::string& name : Names(dir)) {
    const std::optional<int64_t> number = AttemptOf(name);
    if (!number) continue;
    Attempt& attempt = attempts[*number];
    attempt.paths.push_back(dir + "/" + name);
    struct stat info {};
    if (lstat(attempt.paths.back().c_str(), &info) == 0) attempt.bytes += info.st_blocks * 512;
  }
  return attempts;
}

}  // namespace

bool LogFolder::IsUid(const std::string& uid) {
  return !uid.empty() && uid.size() <= kMaxUidBytes &&
         std::all_of(uid.begin(), uid.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '-'; });
}

std::string LogFolder::InstanceDir(const std::string& uid) const {
  return options_.log_dir + "/" + uid;
}

std::string LogFolder::LogPath(const std::string& uid, int64_t attempt, LogStream stream) const {
  return InstanceDir(uid) + "/" + std::to_string(attempt) + "." + StreamName(stream);
}

std::vector<int64_t> LogFolder::Attempts(const std::string& uid, LogStream stream) const {
  std::vector<int64_t> attempts;
  for (const std::string& name : Names(InstanceDir(uid))) {
    const std::optional<int64_t> number = AttemptOf(name);
    if (number && name == std::to_string(*number) + "." + StreamName(stream)) {
      attempts.push_back(*number);
    }
  }
  std::sort(attempts.begin(), attempts.end());
  return attempts;
}

void LogFolder::Prune(const std::string& uid, const std::set<int64_t>& keep) const {
  std::map<int64_t, Attempt> attempts = ListAttempts(InstanceDir(uid));
  int64_t bytes = 0;
  for (const auto& [number, attempt] : attempts) bytes += attempt.bytes;
  auto left = static_cast<int>(attempts.size());
  for (const auto& [number, attempt] : attempts) {
    if (left <= options_.max_attempts && bytes <= options_.max_instance_bytes) return;
    if (keep.count(number) > 0 || number == attempts.rbegin()->first) continue;
    for (const std::string& path : attempt.paths) RemoveAll(path);
    bytes -= attempt.bytes;
    --left;
  }
}

void LogFolder::MarkRemoved(const std::string& uid) const {
  const std::string path = InstanceDir(uid) + "/" + kRemovedMarker;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (fd >= 0) {
    close(fd);
  } else if (errno != EEXIST && errno != ENOENT) {
    // Sweep tries again.
    Log(LogLevel::kWarning, "log-mark-failed", {{"error", ErrnoError(errno, "create " + path)}});
  }
}

void LogFolder::Sweep(absl::Time now, const std::set<std::string>& held) const {
  std::vector<std::pair<absl::Time, std::string>> removed;
  for (const std::string& uid : Names(options_.log_dir)) {
    if (!IsUid(uid) || held.count(uid) > 0) continue;
    MarkRemoved(uid);
    const auto time = ModifiedTime(InstanceDir(uid) + "/" + kRemovedMarker);
    if (time) removed.emplace_back(*time, uid);
  }
  std::sort(removed.begin(), removed.end());
  size_t too_many = removed.size() -
                    std::min(removed.size(), static_cast<size_t>(options_.max_removed_instances));
  for (const auto& [time, uid] : removed) {
    if (too_many == 0 && now - time < options_.keep_removed) continue;
    if (too_many > 0) --too_many;
    RemoveAll(InstanceDir(uid));
  }
}

}  // namespace appsup::agent
