#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace appsup::agent {

// What passes between the agent and its drivers.

// What a process is to its instance. MAIN is the app itself; the others end by themselves and run
// as the same user with the same limits.
enum class ProcessKind { kMain = 1, kSetup = 2, kInstall = 3, kCheck = 4 };

// Names one start of one process, for ever: `attempt` counts within (instance_uid, kind).
struct ProcessId {
  std::string instance_uid;
  ProcessKind kind = ProcessKind::kMain;
  int64_t attempt = 0;

  auto operator<=>(const ProcessId&) const = default;
};

// 0 is no limit.
struct ProcessLimits {
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
  int64_t pids = 0;

  bool operator==(const ProcessLimits&) const = default;
};

enum class FolderOwner { kApp, kAgent };

// A folder that must be there before the command runs. Missing parents are made, with the agent as
// owner and mode 0711. An existing folder keeps its content and gets owner and mode.
struct Folder {
  std::string path;  // Absolute.
  FolderOwner owner = FolderOwner::kApp;
  uint32_t mode = 0750;     // The group is always the agent's, so that it may look inside.
  bool adopt_tree = false;  // Files in it that the agent owns are given to the app as well.
};

// How long a process tree may go on without a word from the agent, whatever becomes of it.
struct Fence {
  absl::Duration deadline;     // CLOCK_BOOTTIME. The tree is killed then.
  absl::Duration stop_before;  // So long before that the stop begins; it is not undone any more.

  bool operator==(const Fence&) const = default;
};

// From now on; nothing: not fenced any more. A deadline never moves backwards.
struct FenceChange {
  ProcessId id;
  std::optional<Fence> fence;
};

struct StartRequest {
  ProcessId id;
  std::string app_uid;  // Decides the user id where `user` is empty.
  std::vector<std::string>
      command;  // No shell. Without a slash: working_dir, its bin/, env's PATH.
  std::vector<std::pair<std::string, std::string>> env;  // The whole environment.
  std::string working_dir;                               // Absolute.
  std::string user;             // Of the node; empty: a user id of the app's own, kept for ever.
  std::vector<Folder> folders;  // Made in this order.
  ProcessLimits limits;         // What Describe() does not name as enforced is left out.
  std::string stdout_path;      // Absolute; appended to. Empty: /dev/null. May equal stderr_path.
  std::string stderr_path;
  int64_t log_bound_bytes = 0;  // Per file: the head beyond it is punched out; 0 is no bound.
  // How it is stopped when the keeper ends on its own account (--stop-apps-on-exit).
  int stop_signal = 15;
  absl::Duration stop_grace = absl::Seconds(30);
  // Only where Describe() names "deadline" as enforced. The stop is by `stop_signal`.
  std::optional<Fence> fence;
};

struct Started {
  int64_t pid = 0;            // 0 where the kind of host has none.
  absl::Duration start_time;  // CLOCK_BOOTTIME; with the boot id it tells pids of one number apart.
};

struct ProcessExit {
  int code = 0;
  int signal = 0;              // 0: ended by itself with `code`.
  bool out_of_memory = false;  // The kernel killed it, or one of its children, for memory.
  bool unknown = false;        // It ended while no keeper ran: code and signal mean nothing.
  bool by_fence = false;       // Its fence ended it: at the deadline, or with its keeper.
  bool stopped = false;        // It was told to stop before it ended.
  absl::Time time;             // When the main process ended.
};

struct RunningProcess {
  ProcessId id;
  std::string app_uid;
  Started started;
  bool fenced = false;
};

struct ExitedProcess {
  ProcessId id;
  ProcessExit exit;
};

// Everything a driver holds. What the agent has in its journal and is in neither list is gone, and
// its exit code with it.
struct Inventory {
  std::vector<RunningProcess> running;
  std::vector<ExitedProcess> exits;  // Those without AckExit. Not repeated as OnExited.
};

struct ProcessUsage {
  ProcessId id;
  int64_t cpu_millis = 0;  // Thousandths of a core since the sample before; 0 in the first one.
  int64_t memory_bytes = 0;
  int64_t pids = 0;
};

// What the driver can do on this node.
struct DriverDescription {
  std::string name;                   // "process".
  std::vector<std::string> enforces;  // Of: cpu, memory, pids, user, tree_kill, deadline.
  std::string message;                // Why the others are not; empty if there are none.
  std::string version;                // Of the program behind it; empty before the first contact.
};

}  // namespace appsup::agent
