#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/core/agent_core.h"
#include "agent/core/effect.h"
#include "tests/simulation/observer.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// An agent's journal and its writer, as agent/journal/journal_writer.h describes them: commits take
// time, what comes meanwhile gathers by key, a full disk is tried again each second. What was not
// committed when the process dies is gone, or was committed just then.
class JournalModel {
 public:
  struct Callbacks {
    std::function<void(uint64_t through)> committed;
    std::function<void(const std::string& message)> stalled;
  };

  JournalModel(World& world, Observer& observer, int node);

  const agent::JournalContents& contents() const { return contents_; }

  // A new process: opens it.
  void Open(Callbacks callbacks) { callbacks_ = std::move(callbacks); }
  void Append(agent::WriteJournal write);
  // The process dies.
  void Crash();

  void SetFull(bool full) { full_ = full; }
  void SetDelay(absl::Duration low, absl::Duration high);
  // Only between two processes. All of it, or the newest commit, which was torn.
  void Lose();
  void TearNewest();

 private:
  using Key = std::pair<agent::JournalTable, std::string>;
  using Rows = std::map<Key, std::optional<std::string>>;

  void Begin();
  void End();
  void Write(const Rows& rows);
  std::map<std::string, std::string>& TableOf(agent::JournalTable table);

  World& world_;
  Observer& observer_;
  const int node_;
  SeededRandom random_;
  Callbacks callbacks_;
  agent::JournalContents contents_;
  Rows undo_;  // Takes back the newest commit.
  Rows waiting_;
  Rows writing_;
  uint64_t index_ = 0;
  uint64_t writing_index_ = 0;
  bool busy_ = false;
  uint64_t life_ = 0;
  bool full_ = false;
  absl::Duration low_ = absl::Microseconds(200);
  absl::Duration high_ = absl::Milliseconds(4);
};

}  // namespace appsup::simulation
