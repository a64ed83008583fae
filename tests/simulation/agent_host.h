#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/core/agent_core.h"
#include "tests/simulation/driver_model.h"
#include "tests/simulation/journal_model.h"
#include "tests/simulation/keeper_model.h"
#include "tests/simulation/link_model.h"
#include "tests/simulation/machine_clock.h"
#include "tests/simulation/network.h"
#include "tests/simulation/observer.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// One machine: its clocks, its keeper with what runs below it, its journal, and the agent's process
// around a real core, doing what agent/shell.cc does.
class AgentHost {
 public:
  AgentHost(World& world, Network& network, Observer& observer, int node, double clock_rate);
  ~AgentHost();

  // --- The agent's process.
  void Start();
  void Crash();
  bool running() const { return core_ != nullptr; }
  // SIGSTOP: it does nothing until Resume, but its keeper goes on.
  void Pause();
  void Resume();

  // --- The machine.
  void PowerOff();
  void PowerOn();  // With a new boot id; keeper and agent are started.
  void CrashKeeper();
  void StartKeeper();
  void UpgradeKeeper();  // In place: only the connection breaks.

  // Ports that other programs use, and whether artifacts can be fetched.
  std::set<int32_t> busy_ports;
  bool fetches = true;
  // From its certificate.
  std::string node_uid;

  std::string id() const;  // "n1".
  int boots() const { return boots_; }
  int node() const { return node_; }
  MachineClock& clock() { return clock_; }
  KeeperModel& keeper() { return keeper_; }
  const KeeperModel& keeper() const { return keeper_; }
  JournalModel& journal() { return journal_; }
  const JournalModel& journal() const { return journal_; }
  LinkModel* link() { return link_.get(); }
  const agent::AgentCore* core() const { return core_.get(); }
  Moment Now() const { return clock_.Now(world_.now()); }
  size_t waiting_for_keeper() const { return driver_ == nullptr ? 0 : driver_->waiting(); }

 private:
  // agent_host.cc
  void Post(agent::Event event);
  void Handle(agent::Event event);
  void Flush();
  void SampleUsage();
  // agent_effects.cc
  void Perform(agent::Effect& effect);
  void Perform(const agent::PrepareArtifact& effect);
  void Perform(const agent::CheckPorts& effect);
  void Perform(const agent::StartCheck& effect);
  void Perform(const agent::SetTimer& effect);
  // The same process still runs when the time has come.
  void Later(absl::Duration after, std::function<void()> what);
  void Tell(absl::Duration after, agent::Event event);

  World& world_;
  Network& network_;
  Observer& observer_;
  const int node_;
  SeededRandom random_;
  MachineClock clock_;
  KeeperModel keeper_;
  JournalModel journal_;
  int boots_ = 1;
  bool off_ = false;

  // Of one process of the agent.
  uint64_t life_ = 0;
  std::unique_ptr<agent::AgentCore> core_;
  std::unique_ptr<DriverModel> driver_;
  std::unique_ptr<LinkModel> link_;
  bool paused_ = false;
  std::deque<agent::Event> held_;
  bool flush_planned_ = false;
  uint64_t timer_ = 0;
  std::set<uint64_t> artifacts_;  // Tokens of fetches under way.
  std::set<std::pair<std::string, int64_t>> checks_;
};

}  // namespace appsup::simulation
