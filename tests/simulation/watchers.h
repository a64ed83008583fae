#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "tests/simulation/disk.h"
#include "tests/simulation/operators.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// Watchers of events, who come back with their resume token after each break, and begin anew when
// they are told that it is too old. Promise 8: what they see is held against the change log.
class Watchers {
 public:
  Watchers(World& world, const Disk& disk, Operators& operators);

  void Begin(uint64_t value);
  // The catalog is another one: what was seen belongs to another history.
  void StoreReplaced();
  // Everything that was committed was seen by everybody. Empty, or which watcher lacks what.
  std::string Behind() const;

 private:
  struct Watcher {
    int number = 0;
    std::string token;   // To go on with; empty: with a snapshot.
    bool knows = false;  // Everything up to `position` was seen, or shown by the snapshot.
    int64_t position = 0;
    std::string last;       // The entry at `position`, as it was seen; empty: none was.
    bool snapshot = false;  // Its snapshot is not complete.
    std::map<std::string, int64_t> shown;  // By the snapshot: name, and as of which index.
    uint64_t stream = 0;
    bool open = false;
    uint64_t history = 0;
  };

  void Open(int number);
  void See(Watcher& watcher, const api::Event& event);
  // Fails if changes that are trimmed now were passed over; true if so.
  bool MissedTrimmed(const Watcher& watcher, const api::Event& event);
  void SeeChange(Watcher& watcher, const api::Event& event);
  void Ended(int number, const absl::Status& status);

  World& world_;
  const Disk& disk_;
  Operators& operators_;
  SeededRandom random_;
  std::map<int, Watcher> watchers_;
  uint64_t history_ = 1;
};

}  // namespace appsup::simulation
