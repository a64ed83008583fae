#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace appsup::keeper {

// What /proc says of one process.
struct ProcessInfo {
  pid_t pid = 0;
  char state = '?';
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  int64_t cpu_micros = 0;
  int64_t threads = 0;
  int64_t start_boot_nanos = 0;  // Together with the boot id, this names a process for ever.
  int64_t resident_bytes = 0;
};

// NOT_FOUND if there is no such process.
absl::StatusOr<ProcessInfo> ReadProcess(pid_t pid);
std::vector<ProcessInfo> ReadProcesses();

// The machine's present boot.
std::string ReadBootId();

// SIGKILL, if `still_it` says after the pid was pinned that it is the one meant.
void KillVerified(pid_t pid, const std::function<bool()>& still_it);

// Trees without control groups, best effort: a process belongs to a tree if it is in the session of
// its main process (0: not known), descends from a member, or carries the tree's marker in its
// environment.
inline constexpr char kMarkerVariable[] = "APPSUP_PROCESS";
std::vector<pid_t> FindTree(pid_t main, const std::string& marker);
// Kills what FindTree finds, again until a round finds nothing new.
void KillTree(pid_t main, const std::string& marker);

}  // namespace appsup::keeper
