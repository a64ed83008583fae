#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/config.h"

namespace appsup::agent {

// A whole agent: the core on one loop thread, and around it what performs its effects: journal
// (a thread), link (a thread), driver, checks, logs, artifacts (workers). Its end, however it
// comes, leaves every app running.
class Agent {
 public:
  // Makes folders, reads the journal. FAILED_PRECONDITION if another agent works in the same
  // folder, NOT_FOUND if the node never enrolled.
  static absl::StatusOr<std::unique_ptr<Agent>> Create(const AgentConfig& config);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Works until Stop. An error if the journal failed for good: the process should end then, and a
  // new one begins from what the disk holds.
  absl::Status Run();

  // Thread-safe.
  void Stop();

 private:
  class Shell;
  explicit Agent(std::unique_ptr<Shell> shell);

  std::unique_ptr<Shell> shell_;
};

}  // namespace appsup::agent
