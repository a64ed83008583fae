#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "appsupervisor/v1/app_service.pb.h"

namespace appsup::agent {

struct LogFolderOptions {
  std::string log_dir;  // Exists; the agent may read, list and unlink in it.
  absl::Duration keep_removed = absl::Hours(24);   // After RemoveInstance.
  int max_attempts = 10;                           // Newest ones kept per instance.
  int64_t max_instance_bytes = int64_t{50} << 20;  // On disk, of all attempts of an instance.
  int max_removed_instances = 1000;                // Oldest removed first.
};

// Names and ages of what lies in the log folder. Stateless but for the options; blocks on the disk.
class LogFolder {
 public:
  explicit LogFolder(LogFolderOptions options) : options_(std::move(options)) {}

  // Uids are [A-Za-z0-9-]{1,64}; everything else in the folder is left alone.
  static bool IsUid(const std::string& uid);

  const std::string& root() const { return options_.log_dir; }
  std::string InstanceDir(const std::string& uid) const;
  // `stream` is STDOUT or STDERR.
  std::string LogPath(const std::string& uid, int64_t attempt,
                      appsupervisor::v1::LogStream stream) const;
  static std::string IndexPath(const std::string& log_path) { return log_path + ".index"; }

  // Attempts that have a file of this stream, rising.
  std::vector<int64_t> Attempts(const std::string& uid, appsupervisor::v1::LogStream stream) const;

  // Deletes attempts, oldest first, beyond the bounds; never one in `keep`.
  void Prune(const std::string& uid, const std::set<int64_t>& keep) const;

  // Starts the instance's last hours.
  void MarkRemoved(const std::string& uid) const;

  // Deletes instances whose hours are over, or that are too many; marks those not in `held`.
  void Sweep(absl::Time now, const std::set<std::string>& held) const;

 private:
  LogFolderOptions options_;
};

}  // namespace appsup::agent
