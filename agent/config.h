#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/log.h"

namespace appsup::agent {

// agent.yaml. Paths are complete: relative ones were put below root_dir when the file was read.
struct AgentConfig {
  std::string root_dir = "/";
  std::string state_dir;      // {root_dir}/var/lib/appsup/agent; must lie beneath a keeper's root.
  std::string identity_dir;   // {state_dir}/identity
  std::string keeper_socket;  // {root_dir}/run/appsup/keeper/keeper.sock

  std::string entry;  // "HOST:PORT" of the link; empty: the one that enrolled this node.

  std::string address;         // Where this node's apps can be reached; found out if empty.
  std::string listen_address;  // HOST of the apps; empty: loopback or 0.0.0.0, as `address` is.
  int32_t first_port = 20000;  // Ports are picked from here ..
  int32_t last_port = 29999;   // .. to here.

  int64_t app_log_bytes = int64_t{50} << 20;         // Per instance.
  absl::Duration app_log_kept = absl::Hours(24);     // After an instance's removal.
  int64_t artifact_cache_bytes = int64_t{20} << 30;  // Beyond it unused ones go.
  int64_t artifact_bytes = int64_t{8} << 30;         // Of one artifact.
  absl::Duration usage_period = absl::Seconds(10);   // How often use is measured.

  std::string http_listen;  // Metrics; empty: none.

  LogOptions log;
};

// Reads the file; an empty path gives the defaults. `root_dir`, if not empty, wins over the file's.
// All faults at once, as common/config_reader.h says.
absl::StatusOr<AgentConfig> ReadAgentConfig(const std::string& path, const std::string& root_dir);

}  // namespace appsup::agent
