#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/link/link_client.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/random.h"
#include "tests/fake/agent_world.h"

namespace appsup::bench {

// The real agent core at the agent's real end of the link, with the product's own backoff. What
// lies below the core (journal, processes) is in memory, and what it did is forgotten at once, so
// that it can run for hours. Loop thread only.
class FleetAgent {
 public:
  struct Setup {
    std::string entry;         // HOST:PORT.
    std::string identity_dir;  // Of the enrolled node.
    std::string id;
    uint64_t seed = 0;
  };
  // Names of instances whose new statements the agent has applied.
  using OnApplied = std::function<void(const std::vector<std::string>& names)>;

  // All outlive this. `on_applied` may be empty.
  FleetAgent(EventLoop& loop, Clock& clock, Random& random, Setup setup, OnApplied on_applied);
  ~FleetAgent();

  void Join();   // Connects, and again whenever the link breaks.
  void Leave();  // Ends the link; everything else goes on.

  // From now on only a later stream counts as being back. Counts start anew.
  void Mark();

  struct Figures {
    bool connected = false;
    bool back = false;       // A stream since Mark brought assignments, and they were applied.
    double back_at = 0;      // Steady clock.
    size_t running = 0;      // Processes.
    size_t changed = 0;      // Processes that ended or began since Mark.
    int64_t bytes_to = 0;    // Messages from the beginning of that stream until it was back.
    int64_t bytes_from = 0;  // From the agent, of the same time.
  };
  Figures figures() const;
  bool back() const { return back_; }

 private:
  void OnLink(agent::LinkEvent event);
  void Catch(const agent::LinkMessage& message);
  void Advance();
  void Perform();
  void Perform(const agent::SendMessage& send);
  void Applied();

  EventLoop& loop_;
  Clock& clock_;
  Random& random_;
  const Setup setup_;
  const OnApplied on_applied_;
  agent::AgentWorld world_;
  std::unique_ptr<agent::LinkClient> client_;
  EventLoop::TimerId timer_ = 0;
  std::vector<std::string> unapplied_;  // Instances that the message in hand names.

  std::map<agent::ProcessId, int64_t> marked_;  // Pids.
  bool new_stream_ = false;                     // It began after Mark.
  bool back_ = false;
  double back_at_ = 0;
  int64_t bytes_to_ = 0;
  int64_t bytes_from_ = 0;
};

}  // namespace appsup::bench
