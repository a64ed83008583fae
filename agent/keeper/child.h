#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "agent/keeper/fence.h"
#include "agent/keeper/log_file.h"
#include "agent/keeper/policy.h"
#include "agent/keeper/poller.h"
#include "agent/keeper/record_file.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

//   kStarting ──exec──▶ kRunning ──main process ended──▶ kDraining ──tree empty──▶ kExited ──ack──▶
//   gone
//       └──failed──▶ gone
enum class ChildState { kStarting, kRunning, kDraining, kExited };

// One process tree, from its spawn to the acknowledgement of its exit.
struct Child {
  pb::ProcessId id;
  std::string key;  // Of tables; "uid/kind/attempt", also the marker in the environment.
  std::string app_uid;
  ChildState state = ChildState::kStarting;
  bool inherited = false;  // From an earlier keeper: not our child, its exit code cannot be known.

  pid_t pid = 0;
  int64_t start_boot_nanos = 0;
  UniqueFd pidfd;   // Valid until the main process has ended.
  UniqueFd gate;    // kStarting only.
  UniqueFd events;  // kDraining, with cgroups: cgroup.events.
  std::vector<LogFile> logs;
  int64_t log_bound = 0;
  int record = -1;  // Its slot in the record file.

  std::vector<uint64_t> waiters;  // Requests of the present connection that wait for the start.
  bool listed = false;            // kStarting only: an agent knows of it, and will hear its end.
  pb::StopSettings stop_at_exit;
  int stopping_with = 0;      // The signal that was sent; 0: nobody asked it to stop.
  int64_t kill_deadline = 0;  // While stopping.
  Poller::TimerId kill_timer = {};
  Poller::TimerId look_timer = {};  // kDraining without cgroups: looks for the tree again.
  Fence fence;
  Poller::TimerId fence_timer = {};
  pb::ExitedProcess exit;  // From kDraining on.

  std::string group() const { return ProcessKey(id, '.'); }  // The name of its cgroup.
};

// All children, by name and by pid, with a record of each in the run folder, for the next keeper.
class ChildTable {
 public:
  // Opens the record file; `left` gets what earlier keepers left there, with its slots. What makes
  // no sense is dropped, and of several records of one process all but the first.
  absl::Status Open(const std::string& path, std::vector<std::pair<int, pb::ProcessRecord>>* left);

  Child* Find(const std::string& key);
  // Whose main process has not been reaped.
  Child* FindPid(pid_t pid);
  // Another attempt of the same instance and kind that has not ended.
  Child* FindOther(const Child& child);

  // There is no child of this key yet: keys are views of their children.
  Child& Add(std::unique_ptr<Child> child);
  // The main process has been reaped, its pid may be used again.
  void ReleasePid(const Child& child);
  // Takes the child and its record away.
  void Erase(Child& child);

  // `log_paths`: of logs that the next keeper has to bound.
  absl::Status Save(Child& child, const std::string& boot_id,
                    const std::vector<std::string>& log_paths);
  // Only the fence has changed.
  absl::Status SaveFence(Child& child);
  void RemoveRecord(int slot) { records_.Clear(slot); }

  // In the order of keys, starting after `after`; stops when `visit` says false.
  void ForEachAfter(const std::string& after, const std::function<bool(Child&)>& visit);
  size_t live() const { return live_.size(); }

 private:
  RecordFile records_;
  std::map<std::string_view, std::unique_ptr<Child>> children_;  // By the child's own key.
  std::unordered_map<pid_t, Child*> live_;
};

}  // namespace appsup::keeper
