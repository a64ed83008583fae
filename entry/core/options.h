#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace appsup::entry {

// Settings of the core, with the defaults of the design.
struct CoreOptions {
  absl::Duration heartbeat_period = absl::Seconds(3);
  absl::Duration lease = absl::Seconds(10);
  double clock_drift = 0.01;                      // By which any clock may be fast or slow.
  absl::Duration kill_margin = absl::Seconds(1);  // For a killed process tree to be gone.
  absl::Duration deleted_app_kept = absl::Hours(7 * 24);
  absl::Duration operation_kept = absl::Hours(7 * 24);
  int max_operations_per_project = 1000;
  absl::Duration request_id_kept = absl::Hours(24);
  int64_t max_request_ids = 100'000;  // Beyond, the oldest are forgotten early.
  absl::Duration change_log_kept = absl::Hours(7 * 24);
  int64_t max_change_log_entries = 1'000'000;
  int64_t change_feed_in_memory = 4'000;  // Newest entries; older ones are read from the store.
  absl::Duration bookmark_period = absl::Seconds(30);
  int max_streams = 1000;   // WatchEvents, WatchOperation and TailLogs calls, each.
  int revisions_kept = 10;  // Per app, beside those in use.
  std::string boot_id;      // Of this machine's start; empty: not known.
  int64_t default_memory_reserve = 128 << 20;
  uint64_t seed = 0;  // For ids and jitter; never for secrets.
};

}  // namespace appsup::entry
