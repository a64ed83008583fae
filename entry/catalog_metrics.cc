#include "entry/catalog_metrics.h"

#include <string>

namespace appsup::entry {
namespace {

// Sets one gauge per value of an enum, so that a state that nobody is in any more reads 0.
// `word` takes the value without its prefix: "APP_STATE_RUNNING" → "RUNNING".
void SetByState(Metrics& metrics, const std::string& name, const std::string& help,
                const google::protobuf::EnumDescriptor& states, const std::string& prefix,
                const std::map<int, int64_t>& counts) {
  for (int i = 0; i < states.value_count(); ++i) {
    const auto& value = *states.value(i);
    const auto count = counts.find(value.number());
    metrics.Gauge(name, help, {{"state", value.name().substr(prefix.size())}})
        .Set(count == counts.end() ? 0 : static_cast<double>(count->second));
  }
}

}  // namespace

void UpdateCatalogMetrics(const Catalog& catalog, Metrics& metrics) {
  std::map<int, int64_t> apps, instances, nodes;
  for (const auto& [name, status] : catalog.app_statuses.rows()) ++apps[status.state()];
  for (const auto& [name, row] : catalog.instances.rows()) ++instances[row.instance().state()];
  for (const auto& [name, row] : catalog.nodes.rows()) ++nodes[row.node().status().state()];
  SetByState(metrics, "appsup_apps", "Apps by state", *api::AppState_descriptor(), "APP_STATE_",
             apps);
  SetByState(metrics, "appsup_instances", "Instances by state", *api::InstanceState_descriptor(),
             "INSTANCE_STATE_", instances);
  SetByState(metrics, "appsup_nodes", "Nodes by state", *api::NodeState_descriptor(), "NODE_STATE_",
             nodes);
  int64_t open = 0;
  for (const auto& [name, row] : catalog.operations.rows()) open += row.operation().done() ? 0 : 1;
  metrics.Gauge("appsup_operations_open", "Operations that have not ended")
      .Set(static_cast<double>(open));
  metrics.Gauge("appsup_catalog_log_index", "Position in the change log")
      .Set(static_cast<double>(catalog.last_index()));
}

}  // namespace appsup::entry
