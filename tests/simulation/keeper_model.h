#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/process.h"
#include "tests/simulation/machine_clock.h"
#include "tests/simulation/observer.h"
#include "tests/simulation/process_plan.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// The keeper of one machine and the process trees below it, as agent/driver/driver.h promises them:
// a spawn is idempotent until its exit is acknowledged, exits are kept, a stop is signal, grace and
// kill, a fence is kept by this machine's boot clock. If the keeper is killed its trees go on,
// fenced ones die with it; how the others end cannot be known from then on.
class KeeperModel {
 public:
  using Answer = std::function<void(absl::StatusOr<agent::Started>)>;
  using OnExited = std::function<void(const agent::ProcessId&, const agent::ProcessExit&)>;

  KeeperModel(World& world, Observer& observer, MachineClock& clock, int node);

  bool up() const { return up_; }
  // Told while an agent is connected; what one waited for is forgotten with it.
  void SetOnExited(OnExited on_exited);

  // --- What the driver asks; only while it is up.
  void Spawn(const agent::StartRequest& request, Answer answer);
  void Stop(const agent::ProcessId& id, int signal, absl::Duration grace);
  void Acknowledge(const agent::ProcessId& id);
  void SetFences(const std::vector<agent::FenceChange>& changes);
  agent::Inventory List();

  // --- What happens to it.
  void Crash();
  void Start();
  void PowerOff();  // The machine: nothing runs any more, nothing is remembered.
  // Starts take so long.
  void SetSpawnDelay(absl::Duration low, absl::Duration high);
  // One of the running trees ends by itself now, if there is any.
  void CrashOne(uint64_t choice);

  // By id; only those that really run.
  std::vector<const Tree*> Trees() const;
  const Tree* FindRunning(const std::string& uid, int64_t attempt) const;
  size_t unacknowledged() const;
  // When the last of those that were told to stop is killed; true time.
  absl::Duration StopsBy() const;

 private:
  enum class State { kStarting, kRunning, kMainEnded, kEnded };
  struct Child {
    Tree tree;
    State state = State::kStarting;
    agent::ProcessExit exit;
    bool inherited = false;
    bool stopping = false;
    absl::Duration kill_at = absl::InfiniteDuration();  // True time.
    std::optional<agent::Fence> fence;
    bool fence_stops = false;
    int stop_signal = 15;
    std::vector<Answer> waiting;
    bool listed = false;  // While it was being started.
  };
  using Children = std::map<agent::ProcessId, Child>;

  Child* Find(const agent::ProcessId& id);
  // Runs `what` for this very child, if it is still there, `after` from now.
  void Later(const agent::ProcessId& id, absl::Duration after, void (KeeperModel::*what)(Child&));
  void Began(Child& child);
  void NotStarted(Child& child, bool answered);
  void LivedOut(Child& child);
  void StopTimeIsOver(Child& child);
  void ObeysSignal(Child& child);
  void LingeringEnds(Child& child);
  void FenceIsDue(Child& child);
  void PlanFence(Child& child);
  void BeginStop(Child& child, int signal, absl::Duration grace);
  void EndMain(Child& child, int code, int signal);
  void EndTree(Child& child);

  World& world_;
  Observer& observer_;
  MachineClock& clock_;
  const int node_;
  SeededRandom random_;
  bool up_ = true;
  uint64_t life_ = 1;  // Of the keeper's process.
  Children children_;
  OnExited on_exited_;
  int64_t last_pid_ = 1000;
  absl::Duration spawn_low_ = absl::Milliseconds(1);
  absl::Duration spawn_high_ = absl::Milliseconds(20);
};

}  // namespace appsup::simulation
