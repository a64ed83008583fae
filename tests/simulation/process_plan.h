#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/core/process.h"

namespace appsup::simulation {

// How an app behaves. It is written into its command, so that it is part of its spec and travels
// through everything that a real command does: {"app", "ready_ms=1500", "life_ms=20000", "code=1"}.
struct ProcessPlan {
  absl::Duration ready;      // From its start until it passes its check.
  absl::Duration life;       // Until it ends by itself; zero: never.
  int code = 0;              // What it ends with then.
  absl::Duration stop;       // From the signal to its end.
  bool stubborn = false;     // Only ends when it is killed.
  absl::Duration lingering;  // A child that it forked lives on for so long.
  int unstartable = 0;       // Of 100 starts, so many fail.
  bool never_ready = false;

  bool operator==(const ProcessPlan&) const = default;
};

std::vector<std::string> CommandOf(const ProcessPlan& plan);
// Words that are not known are passed over.
ProcessPlan PlanOf(const std::vector<std::string>& command);

// All that one start left running on a machine: the main process and what it forked.
struct Tree {
  agent::ProcessId id;
  int node = 0;
  std::string app_uid;
  std::string slot;  // "{app uid}/{environment}/{number}".
  int64_t revision = 0;
  std::string data_dir;
  std::vector<int32_t> ports;
  int64_t pid = 0;
  absl::Duration start_boot;
  absl::Duration start;  // True time.
  ProcessPlan plan;
  bool fenced = false;
};

// Reads what the agent put into the environment.
Tree MakeTree(const agent::StartRequest& request, int node);

}  // namespace appsup::simulation
