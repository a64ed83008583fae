#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/link/link_client.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/random.h"
#include "tests/fake/agent_world.h"

namespace appsup::testing {

// A real agent core at the agent's real end of the link. What lies below the core (journal,
// processes) is in memory. The core moves only in Pump: who does not pump has an agent that does
// not read. One thread, but for the link's own.
class LinkedAgent {
 public:
  LinkedAgent(const std::string& entry, const std::string& identity_dir);
  ~LinkedAgent();

  // Hands the core what came, and the link what the core says.
  void Pump();
  // Pumps until `condition` holds; false if it did not in good time.
  bool Until(const std::function<bool()>& condition);
  // Pumps through a new stream, up to Welcome.
  bool Reconnect();

  int streams() const { return streams_; }
  // Messages that the link gave and the core has not had.
  size_t unread();
  int64_t CountHeard(
      const std::function<bool(const appsupervisor::v1::ConnectResponse&)>& is) const;

  // Messages of the entry that never get to the core.
  std::function<bool(const appsupervisor::v1::ConnectResponse&)> loses;

  agent::AgentWorld world;
  std::vector<appsupervisor::v1::ConnectResponse> heard;  // By the core, on the newest stream.

 private:
  void Take(agent::LinkEvent event);
  void Forward();

  SystemClock clock_;
  SystemRandom random_;
  Mutex mutex_;
  std::vector<agent::LinkEvent> events_ ABSL_GUARDED_BY(mutex_);
  int streams_ = 0;
  size_t forwarded_ = 0;  // Of world.effects.
  absl::Duration last_;
  std::unique_ptr<agent::LinkClient> client_;
};

}  // namespace appsup::testing
