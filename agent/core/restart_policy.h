#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "appsupervisor/v1/app.pb.h"

namespace appsup::agent {

// spec.restart with its defaults filled in.
struct RestartRules {
  appsupervisor::v1::RestartPolicy policy = appsupervisor::v1::RESTART_POLICY_ALWAYS;
  absl::Duration initial_backoff = absl::Seconds(1);
  absl::Duration max_backoff = absl::Seconds(60);
  int loop_count = 5;
  absl::Duration loop_window = absl::Minutes(5);
  absl::Duration loop_retry = absl::Minutes(5);
};

// Values that make no sense (zero, negative) count as not given.
RestartRules RulesOf(const appsupervisor::v1::Restart& restart);

// What is remembered between ends of one instance. Kept in the journal.
struct RestartMemory {
  int failures = 0;                   // Ends in a row without a stable run between them.
  std::vector<absl::Duration> exits;  // Boot times, oldest first; at most rules.loop_count.
  bool looping = false;               // In a crash loop.
};

struct RestartVerdict {
  bool again = false;
  absl::Duration delay;
  bool crash_loop = false;
  int exits_in_window = 0;
};

// What to do about an end that nobody asked for. Pure. `uptime`: how long it ran; 0 if it could not
// be started. `random`: 64 even bits for the jitter of 20 %.
//
// The delay doubles from initial_backoff to max_backoff; after a run of ten times the last delay
// (at least ten seconds) it begins anew. loop_count ends within loop_window are a crash loop: from
// then on one try every loop_retry, until a run was as long as loop_window.
RestartVerdict DecideRestart(const RestartRules& rules, bool success, absl::Duration uptime,
                             absl::Duration now, uint64_t random, RestartMemory* memory);

}  // namespace appsup::agent
