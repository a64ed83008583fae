#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/agent_core.h"
#include "agent/core/process.h"
#include "common/http/http_server.h"
#include "common/metrics.h"

namespace appsup::agent {

// The agent's numbers in the Prometheus text format, over HTTP: /metrics. Loop thread only, but for
// Serve's handler, which asks for an update there.
class AgentMetrics {
 public:
  AgentMetrics();

  // `collect` has Update called on the loop thread and then runs its argument there. The server
  // ends with this object. An empty address serves nothing.
  absl::Status Serve(const std::string& address,
                     std::function<void(absl::AnyInvocable<void()>)> collect);

  void Update(const AgentCore::Figures& figures);
  // What the instances use; instances that are not named any more are forgotten.
  void SetUsage(const std::vector<ProcessUsage>& usage);
  void SetDriverConnected(bool connected);

  std::string RenderText() const { return metrics_.RenderText(); }

 private:
  Metrics metrics_;
  std::set<std::string> measured_;  // Uids that have gauges.
  std::unique_ptr<HttpServer> server_;
};

}  // namespace appsup::agent
