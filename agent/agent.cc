#include "agent/agent.h"

#include <utility>

#include "agent/shell.h"
#include "common/status.h"

namespace appsup::agent {

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(const AgentConfig& config) {
  auto shell = std::make_unique<Shell>(config);
  RETURN_IF_ERROR(shell->Open());
  return std::unique_ptr<Agent>(new Agent(std::move(shell)));
}

Agent::Agent(std::unique_ptr<Shell> shell) : shell_(std::move(shell)) {}

Agent::~Agent() = default;

absl::Status Agent::Run() { return shell_->Run(); }

void Agent::Stop() { shell_->Stop(); }

}  // namespace appsup::agent
