#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/agent_host.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/entry_host.h"
#include "tests/simulation/network.h"
#include "tests/simulation/operators.h"
#include "tests/simulation/promises/promises.h"
#include "tests/simulation/schedule.h"
#include "tests/simulation/watchers.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// Which run. The same values give the same run on each machine.
struct RunOptions {
  uint64_t seed = 0;
  std::optional<std::set<int>> keep;  // Only these actions of the schedule.
  bool trace = false;                 // Keep readable lines.
};

struct RunResult {
  std::optional<Violation> violation;
  uint64_t hash = 0;    // Of everything that happened.
  uint64_t steps = 0;   // Events of virtual time.
  absl::Duration time;  // How long it went on, in virtual time.
  std::vector<std::string> trace;
};

// The whole system in one process under virtual time: entries and agents around their real cores,
// everything else modelled.
//
//   actions of the schedule ──▶ everything is mended ──▶ it has to settle (promise 4) ──▶ end
class Simulation {
 public:
  explicit Simulation(const RunOptions& options);
  ~Simulation();

  RunResult Run();

 private:
  // simulation.cc
  void Prepare();
  void Perform(const Action& action);
  void Mend();
  void Settle();
  std::string Unsettled() const;
  bool HasGuardedNode() const;

  // faults.cc
  void BreakNetwork(const Action& action);
  void BreakEntry(const Action& action);
  void BreakNode(const Action& action);
  void BreakJournal(const Action& action);
  void StopAgentFor(const Action& action);
  void TakeOver(const Action& action);
  void CutOff(const Action& action);
  // The entry that this node's new streams go to, if it is not the one that leads.
  EntryHost* DetourOf(int node);
  void SlowWatchers(const Action& action);
  void SendGarbage(const Action& action);
  void ReplaceCatalog(const Action& action);
  void TakeBackup();
  AgentHost& Node(const Action& action) { return *agents_[static_cast<size_t>(action.node)]; }
  // Unless everything was mended before.
  void Until(absl::Duration length, std::function<void()> end);

  EntryHost& active() { return *entries_[active_]; }
  const EntryHost& active() const { return *entries_[active_]; }

  const RunOptions options_;
  Schedule schedule_;
  World world_;
  Disk disk_;
  std::optional<Durable> backup_;
  // An entry that was cut off with a copy of the store, and how often nodes still come to it.
  Disk copy_;
  EntryHost* cut_off_ = nullptr;
  std::map<int, int> strays_;
  Network network_;
  Scene scene_;
  Promises promises_;
  std::vector<std::unique_ptr<AgentHost>> agents_;
  std::vector<std::unique_ptr<EntryHost>> entries_;
  size_t active_ = 0;
  std::unique_ptr<Operators> operators_;
  std::unique_ptr<Watchers> watchers_;
  bool mended_ = false;
  int enrolled_ = 0;
};

}  // namespace appsup::simulation
