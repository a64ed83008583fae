#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/random.h"
#include "entry/loop_thread.h"
#include "tests/bench/support/fleet_agent.h"

namespace appsup::bench {

// Many agents of enrolled nodes in one process: one thread for all cores, and each link's own.
// Thread-safe by one caller.
class Fleet {
 public:
  struct Nodes {
    std::string link;  // HOST:PORT of the entry.
    std::string dir;   // Where EnrollNodes put the identities.
    std::string prefix = "bench";
    int first = 0;
    int count = 0;
  };

  // The agents connect at once. `on_applied` is told on the loop's thread.
  Fleet(const Nodes& nodes, const FleetAgent::OnApplied& on_applied);
  ~Fleet();

  void Mark();
  void Leave();
  void Join();
  // Until all are back since Mark; false if that took too long.
  bool AwaitBack(absl::Duration limit);

  // Sums over the agents; back_at is the last one's.
  struct Figures {
    int agents = 0;
    int connected = 0;
    int back = 0;
    double back_at = 0;
    size_t running = 0;
    size_t changed = 0;
    int64_t bytes_to = 0;
    int64_t bytes_from = 0;
  };
  Figures figures();

 private:
  // On the loop's thread; returns when it was done.
  void Do(const std::function<void()>& what);

  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<entry::LoopThread> thread_;
  std::vector<std::unique_ptr<FleetAgent>> agents_;  // Loop's thread.
};

// One line of JSON on standard output.
void Print(const Fleet::Figures& figures);

}  // namespace appsup::bench
