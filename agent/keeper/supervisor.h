#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/keeper/cgroup.h"
#include "agent/keeper/child.h"
#include "agent/keeper/policy.h"
#include "agent/keeper/poller.h"
#include "agent/keeper/spawn.h"
#include "agent/keeper/uid_table.h"
#include "agent/keeper/warden.h"

namespace appsup::keeper {

// The parent of all process trees: starts, stops and reaps them, and remembers what the agent has
// not acknowledged. Knows requests and answers, but no socket. Main thread only; nothing blocks for
// long: what walks large trees of files runs in a child process.
class Supervisor {
 public:
  struct Host {
    std::function<void(const pb::Response&)> send;  // For the present connection.
    // A child that is none of ours has ended: whose is it?
    std::function<bool(pid_t pid, bool ended_well)> reaped;
  };

  Supervisor(const Policy& policy, Poller& poller, Host host);

  // Makes folders, opens the tables, takes over what an earlier keeper left, or what an earlier
  // program of this process had (`from`). An error is final.
  absl::Status Open(const pb::KeeperState* from);
  // For the program that takes this one's place. Nothing that was asked may be under way.
  void Keep(pb::KeeperState& state);
  bool settled() const { return workers_.empty() && removals_.empty(); }
  // Gives back what holds nothing any more.
  void Close();

  void Hello(uint64_t request, const pb::HelloRequest& hello);
  // Collects; Flush starts what was collected, after one sync for all new user ids.
  void Spawn(uint64_t request, pb::SpawnRequest spawn);
  void Flush();
  void Stop(uint64_t request, const pb::StopRequest& stop);
  void SetLimits(uint64_t request, const pb::SetLimitsRequest& limits);
  void SetFences(uint64_t request, const pb::SetFencesRequest& fences);
  void List(uint64_t request, const pb::ListRequest& list);
  void AckExits(uint64_t request, const pb::AckExitsRequest& acks);
  void RemoveFolders(uint64_t request, const pb::RemoveFoldersRequest& remove);
  void SampleUsage(uint64_t request, const pb::SampleUsageRequest& sample);
  void Fail(uint64_t request, const absl::Status& why);

  // Answers that wait belong to a connection that is gone.
  void ForgetRequests();
  // SIGCHLD came.
  void Reap();
  // Stops every tree by its own settings, or kills it.
  void StopAll(bool kill);
  // No tree is left.
  bool idle();
  // Fenced trees end with the keeper: stops them by their own settings, or kills them.
  void StopFenced(bool kill);
  bool holds_fenced();

 private:
  struct FreshSpawn {
    uint64_t request;
    pb::SpawnRequest spawn;
    Identity identity;
  };
  struct Worker {
    uint64_t request;
    Spawned process;
  };

  // supervisor_start.cc
  absl::StatusOr<Identity> IdentityFor(const pb::SpawnRequest& spawn);
  bool AnswerIfKnown(uint64_t request, const std::string& key);
  absl::Status Launch(const FreshSpawn& fresh);
  absl::Status OpenFolders();
  absl::Status Lock();
  absl::Status OpenLogs(const pb::SpawnRequest& spawn, Child& child, SpawnPlan* plan);
  absl::Status ForkAndRelease(const SpawnPlan& plan, Child& child);
  void OnGate(Child& child);
  void OnStarted(Child& child);
  void AnswerStarted(uint64_t request, const Child& child);

  // supervisor_end.cc
  void BeginStop(Child& child, int signal, int64_t kill_deadline);
  void StopBySettings(Child& child, bool kill);
  void KillChild(Child& child);
  void OnMainEnded(Child& child);
  void WatchRest(Child& child);
  void OnStartFailed(Child& child, const absl::Status& why);
  void LookAtRest(Child& child);
  bool TreeIsEmpty(Child& child);
  pid_t SessionOf(const Child& child);
  bool NoUnknownChildren();
  void SignalRest(Child& child);
  void Finish(Child& child);
  void CancelTimers(Child& child);
  bool ReapWorker(pid_t pid, bool ended_well);

  // supervisor_fence.cc
  absl::Status CheckFenceOf(const pb::SpawnRequest& spawn);
  void SetFence(const pb::SetFencesRequest::Item& item, std::vector<FenceMove>* moves);
  void ArmFence(Child& child);
  void DropFence(Child& child);
  void KillOrphanedFenced(const std::vector<std::pair<int, pb::ProcessRecord>>& left);

  // supervisor_carry.cc
  absl::Status TakeOver(const pb::KeeperState& from);
  absl::Status TakeOver(const pb::ProcessState& process);

  // supervisor_inherit.cc
  void Inherit(int slot, const pb::ProcessRecord& record);
  void WatchInherited(Child& child);

  void StartWorkers();
  void LookAtLogs(int64_t boot_nanos);
  void BoundLogs();
  pb::Response OkResponse(uint64_t request);
  void Send(const pb::Response& response) { host_.send(response); }

  const Policy& policy_;
  Poller& poller_;
  const Host host_;
  std::string boot_id_;
  Cgroups cgroups_;
  UidTable uids_;
  ChildTable children_;
  Warden warden_;
  UniqueFd null_;
  UniqueFd lock_;
  std::vector<FreshSpawn> fresh_;
  std::map<pid_t, Worker> workers_;
  std::deque<std::pair<uint64_t, std::vector<std::string>>> removals_;  // Wait for a worker.
  Poller::TimerId log_timer_ = {};
  size_t log_count_ = 0;  // Bounded logs, as of the last look at them.
  Poller::TimerId trim_timer_ = {};
};

}  // namespace appsup::keeper
