#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "appsupervisor/v1/environment.pb.h"

namespace appsup::agent {

// Known at start and the same until the process ends.
struct CoreOptions {
  std::string machine_id;
  std::string boot_id;
  std::map<std::string, std::string> versions;  // agent; the driver's is added.
  appsupervisor::v1::ResourceTotals capacity;
  std::string address;                 // Where the node's apps can be reached.
  std::string listen_address;          // HOST of the apps: what they should bind to.
  std::string check_address;           // Where checks find them: an IP address.
  std::string instances_dir;           // Absolute. Folders are <instances_dir>/<uid>,
  std::string data_dir;                // <data_dir>/<app uid>/<environment>-<slot> and
  std::string log_dir;                 // <log_dir>/<uid>/<attempt>.stdout and .stderr.
  int64_t log_bound_bytes = 25 << 20;  // Per stream.
  int32_t first_port = 20000;          // Ports are picked from here ..
  int32_t last_port = 29999;           // .. to here; lies outside the ephemeral range.
  absl::Duration status_period = absl::Milliseconds(100);
  size_t max_message_bytes = 1000 * 1000;             // The link's limit is 1 MiB.
  absl::Duration driver_patience = absl::Seconds(3);  // Hello waits so long for the driver.
  uint64_t seed = 0;                                  // For jitter and the choice of ports.
};

}  // namespace appsup::agent
