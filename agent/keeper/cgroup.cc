#include "agent/keeper/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/process_table.h"
#include "agent/keeper/small_file.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kCpuPeriodMicros = 100'000;
// The least quota that the kernel takes.
constexpr int64_t kMinCpuQuotaMicros = 1'000;

// "key value" lines, as in cpu.stat and memory.events; 0 if the key is missing.
int64_t ValueOf(const std::string& text, std::string_view key) {
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.size() > key.size() && line.substr(0, key.size()) == key && line[key.size()] == ' ') {
      return atoll(std::string(line.substr(key.size() + 1)).c_str());
    }
  }
  return 0;
}

int64_t ValueIn(const std::string& path, std::string_view key) {
  auto text = ReadSmallFile(path);
  return text.ok() ? ValueOf(*text, key) : 0;
}

int64_t NumberIn(const std::string& path) {
  auto text = ReadSmallFile(path);
  return text.ok() ? atoll(text->c_str()) : 0;
}

int64_t CpuQuota(int64_t millis) {
  return std::max(millis * kCpuPeriodMicros / 1000, kMinCpuQuotaMicros);
}

}  // namespace

std::string Cgroups::V2(const std::string& group, const char* file) const {
  return absl::StrCat(v2_, "/", group, "/", file);
}

absl::StatusOr<UniqueFd> Cgroups::Make(const std::string& group, const pb::Limits& limits) {
  if (!v2_.empty()) {
    std::string path = absl::StrCat(v2_, "/", group);
    if (mkdir(path.c_str(), 0755) != 0) {
      if (errno != EEXIST) return SystemError(errno, absl::StrCat("make control group ", path));
      if (Populated(group)) {
        Kill(group);
        return absl::UnavailableError(
            absl::StrCat("processes of an earlier start of this attempt were left in ", path,
                         "; they are being killed"));
      }
    }
  }
  int64_t wanted[kControllers] = {limits.cpu_millis(), limits.memory_bytes(), limits.pids()};
  for (int c = 0; c < kControllers; ++c) {
    absl::Status status = Apply(static_cast<Controller>(c), group, wanted[c]);
    if (!status.ok()) {
      Remove(group);
      return status;
    }
  }
  if (v2_.empty()) return UniqueFd();
  UniqueFd fd(open(V2(group, "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(errno, absl::StrCat("open control group ", group));
  return fd;
}

absl::Status Cgroups::Apply(Controller controller, const std::string& group, int64_t limit) {
  if (!enforced_[controller]) return absl::OkStatus();
  bool v1 = !v1_[controller].empty();
  std::string folder = absl::StrCat(v1 ? v1_[controller] : v2_, "/", group, "/");
  if (v1 && access(folder.c_str(), F_OK) != 0) {
    if (limit <= 0) return absl::OkStatus();
    if (mkdir(folder.c_str(), 0755) != 0) return SystemError(errno, absl::StrCat("make ", folder));
  }
  std::string none = v1 ? "-1" : "max";
  switch (controller) {
    case kCpu: {
      std::string quota = limit > 0 ? absl::StrCat(CpuQuota(limit)) : none;
      if (v1) {
        absl::Status s = WriteSetting(folder + "cpu.cfs_period_us", absl::StrCat(kCpuPeriodMicros));
        if (!s.ok()) return s;
        return WriteSetting(folder + "cpu.cfs_quota_us", quota);
      }
      return WriteSetting(folder + "cpu.max", absl::StrCat(quota, " ", kCpuPeriodMicros));
    }
    case kMemory: {
      std::string bytes = limit > 0 ? absl::StrCat(limit) : none;
      if (v1) return WriteSetting(folder + "memory.limit_in_bytes", bytes);
      // A limit means memory, not memory and then the disk. Absent without swap accounting.
      absl::Status swap = WriteSetting(folder + "memory.swap.max", limit > 0 ? "0" : none);
      if (!swap.ok() && !absl::IsNotFound(swap)) return swap;
      return WriteSetting(folder + "memory.max", bytes);
    }
    case kPids:
      return WriteSetting(folder + "pids.max", limit > 0 ? absl::StrCat(limit) : "max");
    case kControllers:
      break;
  }
  return absl::OkStatus();
}

absl::Status Cgroups::Join(const std::string& group, pid_t pid) {
  for (const std::string& base : v1_) {
    if (base.empty()) continue;
    std::string path = absl::StrCat(base, "/", group, "/cgroup.procs");
    if (access(path.c_str(), F_OK) != 0) continue;
    if (absl::Status s = WriteSetting(path, absl::StrCat(pid)); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status Cgroups::SetLimits(const std::string& group, const pb::Limits& limits) {
  int64_t wanted[kControllers] = {limits.cpu_millis(), limits.memory_bytes(), limits.pids()};
  absl::Status first;
  for (int c = 0; c < kControllers; ++c) {
    first.Update(Apply(static_cast<Controller>(c), group, wanted[c]));
  }
  // A v1 group may be new. A process that forks meanwhile is caught by the second round.
  for (int round = 0; round < 2; ++round) {
    for (pid_t pid : Members(group)) {
      absl::Status joined = Join(group, pid);
      if (!absl::IsNotFound(joined)) first.Update(joined);
    }
  }
  return first;
}

std::vector<pid_t> Cgroups::Members(const std::string& group) {
  std::vector<pid_t> members;
  if (v2_.empty()) return members;
  auto text = ReadSmallFile(V2(group, "cgroup.procs"), size_t{1} << 20);
  if (!text.ok()) return members;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(*text, '\n'))) {
    pid_t pid;
    if (absl::SimpleAtoi(line, &pid) && pid > 0) members.push_back(pid);
  }
  return members;
}

void Cgroups::Kill(const std::string& group) {
  if (WriteSetting(V2(group, "cgroup.kill"), "1").ok()) return;
  // Kernels before 5.14. The members do not change their pids while we hold a pidfd each.
  for (pid_t pid : Members(group))
    KillVerified(pid, [&] {
      std::vector<pid_t> still = Members(group);
      return std::find(still.begin(), still.end(), pid) != still.end();
    });
}

bool Cgroups::Populated(const std::string& group) {
  return ValueIn(V2(group, "cgroup.events"), "populated") != 0;
}

UniqueFd Cgroups::OpenEvents(const std::string& group) {
  return UniqueFd(open(V2(group, "cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
}

bool Cgroups::Populated(int events_fd) {
  char buffer[256];
  ssize_t n = pread(events_fd, buffer, sizeof(buffer), 0);
  return n > 0 && ValueOf(std::string(buffer, static_cast<size_t>(n)), "populated") != 0;
}

bool Cgroups::OutOfMemory(const std::string& group) {
  if (!enforced_[kMemory]) return false;
  if (v1_[kMemory].empty()) return ValueIn(V2(group, "memory.events"), "oom_kill") > 0;
  return ValueIn(absl::StrCat(v1_[kMemory], "/", group, "/memory.oom_control"), "oom_kill") > 0;
}

TreeUsage Cgroups::Usage(const std::string& group) {
  TreeUsage usage;
  usage.cpu_micros = ValueIn(V2(group, "cpu.stat"), "usage_usec");
  if (enforced_[kMemory] && v1_[kMemory].empty()) {
    usage.memory_bytes = NumberIn(V2(group, "memory.current"));
    usage.pids = NumberIn(V2(group, "pids.current"));
  }
  if (usage.memory_bytes > 0 && usage.pids > 0) return usage;
  usage.pids = 0;
  usage.memory_bytes = 0;
  for (pid_t pid : Members(group)) {
    auto info = ReadProcess(pid);
    if (!info.ok()) continue;
    usage.pids += info->threads;
    usage.memory_bytes += info->resident_bytes;
  }
  return usage;
}

void Cgroups::Remove(const std::string& group) {
  if (!v2_.empty()) rmdir(absl::StrCat(v2_, "/", group).c_str());
  for (const std::string& base : v1_) {
    if (!base.empty()) rmdir(absl::StrCat(base, "/", group).c_str());
  }
}

}  // namespace appsup::keeper
