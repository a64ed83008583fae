#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/core/effect.h"
#include "agent/core/event.h"
#include "agent/core/options.h"
#include "appsupervisor/v1/app.pb.h"
#include "common/clock.h"

namespace appsup::agent {

// What the journal held when the agent started. Rows as they were put; see journal.proto.
struct JournalContents {
  std::map<std::string, std::string> node;
  std::map<std::string, std::string> instances;
  std::map<std::string, std::string> ports;
};

// The thinking of an agent: what runs, what should, what the entry was told. Deterministic: the
// same contents, events and times give the same effects. No I/O, no lock, no clock, no randomness
// but the seed. One thread.
//
//   AgentCore(contents) -> Handle(event, now) -> Flush() -> effects -> ... -> Handle
//
// Promises (architecture, section 10): 2 one tree per slot, 4 reaches what is desired by itself,
// 6 (attempt, sequence) never goes back, 7 setup, 9 bounded memory, 10 absence removes nothing,
// 12 bad input changes nothing. tests/unit/agent/core shows each.
class AgentCore {
 public:
  AgentCore(CoreOptions options, const JournalContents& contents, const Moment& now);
  ~AgentCore();
  AgentCore(const AgentCore&) = delete;
  AgentCore& operator=(const AgentCore&) = delete;

  void Handle(Event event, const Moment& now);

  // Effects since the last call that may be performed now, in order.
  std::vector<Effect> Flush();

  // For metrics and tests.
  struct Figures {
    size_t instances = 0;
    size_t running = 0;
    size_t held_effects = 0;  // Waiting for the journal.
    bool guarded = false;     // The freshness guard is on.
    bool connected = false;   // Welcome was received in the present session.
    uint64_t ignored_messages = 0;
    uint64_t resyncs = 0;
  };
  Figures figures() const;

  // What the caches must keep: uids of instances, folders of artifacts.
  struct Held {
    std::set<std::string> instances;
    std::set<std::string> artifact_folders;
    bool all_artifacts_known = true;  // If not, something runs from who knows which folder.
  };
  Held InUse() const;

  // The instance has this state now; UNSPECIFIED if it is not held. For tests and metrics.
  appsupervisor::v1::InstanceState StateOf(const std::string& uid) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace appsup::agent
