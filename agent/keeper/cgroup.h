#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/keeper/policy.h"
#include "appsupervisor/keeper/v1/state.pb.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

struct TreeUsage {
  int64_t cpu_micros = 0;
  int64_t memory_bytes = 0;
  int64_t pids = 0;
};

// One control group per process tree, beneath a folder of the keeper's own. Three layouts:
//   v2      everything in one hierarchy, where its controllers could be switched on
//   hybrid  trees in a v2 hierarchy without controllers, limits in v1 hierarchies
//   none    no hierarchy is writable (no root), or the policy forbids it
// In a v1 hierarchy a tree has a group only while it has a limit there.
class Cgroups {
 public:
  // Finds out what can be used and makes the keeper's own folders; what cannot be had is in
  // `missing()`, not an error. `name` tells keepers of one machine apart.
  void Open(const std::string& name, bool use_cgroups);
  // What Open found, for the program that takes this one's place, and back.
  void Keep(pb::GroupFolders& folders) const;
  void TakeOver(const pb::GroupFolders& folders);
  // Removes the keeper's folders if they are empty.
  void Close();

  bool tree_kill() const { return !v2_.empty(); }
  bool cpu() const { return enforced_[kCpu]; }
  bool memory() const { return enforced_[kMemory]; }
  bool pids() const { return enforced_[kPids]; }
  // Why not, as a sentence; empty if all are enforced.
  std::string missing() const { return missing_; }

  // A fresh group with limits. The result is for clone3 (CLONE_INTO_CGROUP); invalid without v2.
  absl::StatusOr<UniqueFd> Make(const std::string& group, const pb::Limits& limits);
  // Puts a process that waits at its gate into the v1 groups.
  absl::Status Join(const std::string& group, pid_t pid);
  // Limits of a running tree.
  absl::Status SetLimits(const std::string& group, const pb::Limits& limits);

  // With tree_kill() only. Kills everything in the group.
  void Kill(const std::string& group);
  bool Populated(const std::string& group);
  // To be polled for EPOLLPRI after a read by Populated(fd); invalid if the group is gone.
  UniqueFd OpenEvents(const std::string& group);
  static bool Populated(int events_fd);
  std::vector<pid_t> Members(const std::string& group);

  // Did the kernel kill something in it for memory?
  bool OutOfMemory(const std::string& group);
  TreeUsage Usage(const std::string& group);
  // The group must be empty.
  void Remove(const std::string& group);

 private:
  enum Controller { kCpu = 0, kMemory = 1, kPids = 2, kControllers = 3 };

  void OpenV2(const std::string& mount, const std::string& own, const std::string& name);
  void OpenV1(Controller controller, const std::string& own, const std::string& name);
  void Explain();
  std::string V2(const std::string& group, const char* file) const;
  absl::Status Apply(Controller controller, const std::string& group, int64_t limit);

  std::string v2_;                // The folder for trees; empty: none.
  std::string v1_[kControllers];  // Likewise per controller; empty where v2 has it, or nothing.
  bool enforced_[kControllers] = {false, false, false};
  std::string trouble_;  // First thing that went wrong.
  std::string missing_;
};

}  // namespace appsup::keeper
