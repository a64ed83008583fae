#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/keeper/policy.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// Everything that a new process needs to know, decided before it exists.
struct SpawnPlan {
  std::vector<std::string> command;
  std::vector<std::string> env;  // "NAME=value".
  std::string working_dir;
  Identity identity;
  std::vector<std::string> adopt;  // Trees to be given to `identity` before privileges are dropped.
  int stdin_fd = -1;               // Not owned.
  int stdout_fd = -1;
  int stderr_fd = -1;
  int cgroup_fd = -1;                  // A v2 group to be born in; -1: none.
  pid_t dies_with = 0;                 // The keeper, if the process must not outlive it; 0: it may.
  std::vector<std::string> log_paths;  // For the record.
};

// A process on its way:
//
//   Fork ── waits at the gate ──OpenGate──▶ drops privileges ── finds the command ── exec
//              │ gate closed unopened: exits            └── any failure: says why, exits
//
// The gate is a socket pair: a byte to the child opens it, and what comes back is either an error
// sentence or, because exec closes it, the end of file.
struct Spawned {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd gate;
};
absl::StatusOr<Spawned> Fork(const Policy& policy, const SpawnPlan& plan);
absl::Status OpenGate(const Spawned& spawned);

// What became of it. Call when `gate` is readable, or when the process has ended.
enum class Outcome { kPending, kRuns, kFailed };
Outcome ReadOutcome(int gate, absl::Status* why);

// Runs `work` in a child process without an exec; its status comes back through `gate` as above
// (kRuns: OK). For file system work that takes long.
absl::StatusOr<Spawned> ForkWorker(absl::Status (*work)(const Policy&,
                                                        const std::vector<std::string>&),
                                   const Policy& policy, const std::vector<std::string>& arguments);

// Runs `task` in a child process without an exec, with its end of the gate and no other file.
absl::StatusOr<Spawned> ForkTask(const std::function<void(int gate)>& task);

// Remembers the limits of this process for its children and raises its own number of files.
void RaiseFileLimit();
// What children get; set by a program that inherits the raised one.
rlimit FileLimitOfChildren();
void SetFileLimitOfChildren(const rlimit& limit);

namespace internal {
// In a new process: closes everything but the standard streams and the gate, whose number is
// returned
// (-1: failed). Else a child that works for long would hold the keeper's lock and the agent's
// connection beyond the keeper's end.
int KeepOnlyGate(int gate);
// In the child: never returns.
[[noreturn]] void RunChild(const Policy& policy, const SpawnPlan& plan, int gate);
[[noreturn]] void FailChild(int gate, const absl::Status& why);
}  // namespace internal

}  // namespace appsup::keeper
