#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "agent/core/claims.h"
#include "agent/core/effect.h"
#include "agent/core/options.h"
#include "agent/core/process.h"
#include "common/clock.h"
#include "common/random.h"

namespace appsup::agent {

// What all instances of a node share. Owned by AgentCore.
struct NodeContext {
  explicit NodeContext(const CoreOptions& core_options)
      : options(core_options),
        claims(core_options.first_port, core_options.last_port),
        random(core_options.seed) {}

  const CoreOptions& options;
  std::string node;  // Id; empty before the first Welcome.
  bool driver_up = false;
  std::string driver_message;  // Why it is not up: a sentence.
  DriverDescription driver;    // As of the last DriverUp.
  // Boot time of the end of the newest lease; one that was granted to an earlier agent process
  // counts for nothing. And how long it is.
  absl::Duration lease_end = -absl::InfiniteDuration();
  absl::Duration lease;
  std::string guard;                    // The freshness guard is latched: why. Empty: it is not.
  std::set<std::string> stranger_apps;  // Apps with processes of instances that are not held.
  Claims claims;
  SeededRandom random;
  uint64_t last_token = 0;
};

// One call into an Instance: what it may use, and what it wants done about it.
struct Turn {
  NodeContext& node;
  const Moment& now;

  std::vector<Effect> effects;      // In order; those that act wait for the record to be durable.
  std::vector<FenceChange> fences;  // These wait for nothing.
  bool persist = false;             // The record changed.
  bool report = false;              // The status changed.

  uint64_t NextToken() { return ++node.last_token; }
};

}  // namespace appsup::agent
