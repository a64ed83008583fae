#include "agent/agent_metrics.h"

#include <utility>

#include "common/build_info.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

constexpr char kCpu[] = "appsup_instance_cpu_millis";
constexpr char kMemory[] = "appsup_instance_memory_bytes";
constexpr char kPids[] = "appsup_instance_pids";

}  // namespace

AgentMetrics::AgentMetrics() {
  metrics_.Gauge("appsup_build_info", "Always 1", {{"program", "agent"}, {"version", kVersion}})
      .Set(1);
  SetDriverConnected(false);
}

absl::Status AgentMetrics::Serve(const std::string& address,
                                 std::function<void(absl::AnyInvocable<void()>)> collect) {
  if (address.empty()) return absl::OkStatus();
  auto handler = [this, collect = std::move(collect)](const HttpRequest& request,
                                                      HttpServer::Respond respond) {
    if (request.path != "/metrics") return respond({.status = 404, .body = "try /metrics\n"});
    collect([this, respond = std::move(respond)]() mutable {
      respond({.content_type = "text/plain; version=0.0.4", .body = metrics_.RenderText()});
    });
  };
  ASSIGN_OR_RETURN(server_, HttpServer::Start(address, std::move(handler)));
  return absl::OkStatus();
}

void AgentMetrics::Update(const AgentCore::Figures& figures) {
  const auto set = [this](const char* name, const char* help, double value) {
    metrics_.Gauge(name, help).Set(value);
  };
  set("appsup_agent_instances", "Instances that the agent holds",
      static_cast<double>(figures.instances));
  set("appsup_agent_instances_running", "Instances whose process runs",
      static_cast<double>(figures.running));
  set("appsup_agent_held_effects", "Effects that wait for the journal",
      static_cast<double>(figures.held_effects));
  set("appsup_agent_link_connected", "1 while the entry has taken the session", figures.connected);
  set("appsup_agent_guarded",
      "1 while the freshness guard is on: nothing is stopped, changed or removed", figures.guarded);
  set("appsup_agent_ignored_messages",
      "Messages of the entry that were not understood, since start",
      static_cast<double>(figures.ignored_messages));
  set("appsup_agent_resyncs", "Gaps in the assignments, since start",
      static_cast<double>(figures.resyncs));
}

void AgentMetrics::SetUsage(const std::vector<ProcessUsage>& usage) {
  std::set<std::string> seen;
  for (const ProcessUsage& it : usage) {
    const Metrics::Labels labels = {{"instance", it.id.instance_uid}};
    seen.insert(it.id.instance_uid);
    metrics_.Gauge(kCpu, "Thousandths of a core in use", labels)
        .Set(static_cast<double>(it.cpu_millis));
    metrics_.Gauge(kMemory, "Memory in use", labels).Set(static_cast<double>(it.memory_bytes));
    metrics_.Gauge(kPids, "Processes and threads", labels).Set(static_cast<double>(it.pids));
  }
  for (const std::string& uid : measured_) {
    if (seen.contains(uid)) continue;
    for (const char* name : {kCpu, kMemory, kPids}) metrics_.RemoveGauge(name, {{"instance", uid}});
  }
  measured_ = std::move(seen);
}

void AgentMetrics::SetDriverConnected(bool connected) {
  metrics_.Gauge("appsup_agent_keeper_connected", "1 while the keeper answers").Set(connected);
}

}  // namespace appsup::agent
