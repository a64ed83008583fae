#include "agent/keeper/process_table.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/keeper/small_file.h"
#include "common/unique_fd.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int kKillRounds = 8;

bool CarriesMarker(pid_t pid, const std::string& marker) {
  auto environment = ReadSmallFile(absl::StrCat("/proc/", pid, "/environ"), size_t{4} << 20);
  if (!environment.ok()) return false;
  // Entries end with NUL; one in front makes the first entry like the others.
  std::string text = std::string(1, '\0') + *environment;
  std::string wanted = absl::StrCat(kMarkerVariable, "=", marker);
  return text.find(std::string(1, '\0') + wanted + std::string(1, '\0')) != std::string::npos;
}

}  // namespace

absl::StatusOr<ProcessInfo> ReadProcess(pid_t pid) {
  auto text = ReadSmallFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!text.ok()) return text.status();
  // The name in parentheses may itself contain anything, so fields are counted from the last ')'.
  size_t name_end = text->rfind(')');
  ProcessInfo info;
  info.pid = pid;
  unsigned long user, system;
  long threads, rss_pages;
  unsigned long long start;
  if (name_end == std::string::npos ||
      sscanf(
          text->c_str() + name_end + 1,
          " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d %llu %*u %ld",
          &info.state, &info.parent, &info.group, &info.session, &user, &system, &threads, &start,
          &rss_pages) != 9) {
    return absl::NotFoundError(absl::StrCat("process ", pid, " cannot be read"));
  }
  static const int64_t ticks = sysconf(_SC_CLK_TCK);
  static const int64_t page = sysconf(_SC_PAGESIZE);
  info.cpu_micros = static_cast<int64_t>(user + system) * 1'000'000 / ticks;
  info.threads = threads;
  info.start_boot_nanos = static_cast<int64_t>(start) * (kNanosPerSecond / ticks);
  info.resident_bytes = rss_pages * page;
  return info;
}

std::vector<ProcessInfo> ReadProcesses() {
  std::vector<ProcessInfo> all;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir("/proc"), closedir);
  if (dir == nullptr) return all;
  while (dirent* entry = readdir(dir.get())) {
    pid_t pid = static_cast<pid_t>(atoi(entry->d_name));
    if (pid <= 0) continue;
    auto info = ReadProcess(pid);
    if (info.ok()) all.push_back(*info);
  }
  return all;
}

std::string ReadBootId() {
  auto text = ReadSmallFile("/proc/sys/kernel/random/boot_id");
  return text.ok() ? text->substr(0, text->find('\n')) : "";
}

void KillVerified(pid_t pid, const std::function<bool()>& still_it) {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (pidfd.valid() && still_it()) syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

std::vector<pid_t> FindTree(pid_t main, const std::string& marker) {
  std::vector<ProcessInfo> all = ReadProcesses();
  std::set<pid_t> members;
  for (const ProcessInfo& info : all) {
    if (info.state == 'Z' || info.pid == getpid()) continue;
    bool in_session = main > 0 && (info.pid == main || info.session == main);
    if (in_session || CarriesMarker(info.pid, marker)) {
      members.insert(info.pid);
    }
  }
  for (size_t before = 0; before != members.size();) {
    before = members.size();
    for (const ProcessInfo& info : all) {
      if (info.state != 'Z' && members.count(info.parent) > 0) members.insert(info.pid);
    }
  }
  return {members.begin(), members.end()};
}

void KillTree(pid_t main, const std::string& marker) {
  std::set<pid_t> killed;
  for (int round = 0; round < kKillRounds; ++round) {
    bool found_new = false;
    for (pid_t pid : FindTree(main, marker)) {
      found_new = killed.insert(pid).second || found_new;
      auto before = ReadProcess(pid);
      if (!before.ok()) continue;
      KillVerified(pid, [&] {
        auto now = ReadProcess(pid);
        return now.ok() && now->start_boot_nanos == before->start_boot_nanos;
      });
    }
    if (!found_new) return;
  }
}

}  // namespace appsup::keeper
