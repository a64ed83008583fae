#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace appsup::agent {

// One run of an install command.
struct InstallJob {
  uint64_t id = 0;     // Never used twice within one life of the agent.
  std::string name;    // "<sha256>-<install digest>": fit for a log or a control group.
  std::string folder;  // Absolute; the command's working folder, which it may write.
  std::vector<std::string> command;
  absl::Duration timeout;  // Then the whole process tree is to be killed.
};

// Runs install commands. Implemented by a driver. Loop thread only. What the command leaves behind
// must be removable by the agent: the folder belongs to the agent's user.
class InstallRunner {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  virtual ~InstallRunner() = default;

  // Calls `done` once, on the loop thread; an error says how it ended and quotes its last lines.
  virtual void RunInstall(const InstallJob& job, Done done) = 0;

  // Kills it if it still runs; its `done` is dropped.
  virtual void CancelInstall(uint64_t id) = 0;
};

}  // namespace appsup::agent
