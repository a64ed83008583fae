#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "appsupervisor/v1/environment.pb.h"

namespace appsup::agent {

// /etc/machine-id; without one, an id of the agent's own that is kept in `state_dir`.
absl::StatusOr<std::string> MachineId(const std::string& state_dir);

// Cores that this process may use, memory, greatest number of processes.
appsupervisor::v1::ResourceTotals Capacity();

// The address of this machine that packets to `entry` ("HOST:PORT") leave from; 127.0.0.1 if that
// cannot be told.
std::string AddressTowards(const std::string& entry);

bool IsLoopbackAddress(const std::string& address);

// A line for the log if ports of that range may be taken by outgoing connections.
std::optional<std::string> EphemeralOverlap(int32_t first, int32_t last);

// What is in use on the machine. One thread.
class UsageSampler {
 public:
  // Cores: since the call before; 0 in the first one.
  appsupervisor::v1::ResourceTotals Sample();

 private:
  int64_t busy_ticks_ = 0;
  int64_t all_ticks_ = 0;
};

}  // namespace appsup::agent
