#include "entry/core/node_use.h"

namespace appsup::entry {

namespace api = ::appsupervisor::v1;
namespace rec = ::appsupervisor::store::v1;

NodeUse::PortKey NodeUse::KeyOf(const api::Port& port) {
  const bool udp = port.protocol() == api::PORT_PROTOCOL_UDP;
  return {port.number(), udp ? api::PORT_PROTOCOL_UDP : api::PORT_PROTOCOL_TCP};
}

void NodeUse::Add(const rec::InstanceRecord& record) { Count(record, 1); }

void NodeUse::Remove(const rec::InstanceRecord& record) { Count(record, -1); }

const NodeUse::Use& NodeUse::Of(const std::string& node_id) const {
  static const Use none;
  auto use = nodes_.find(node_id);
  return use == nodes_.end() ? none : use->second;
}

void NodeUse::Count(const rec::InstanceRecord& record, int64_t sign) {
  const std::string& node = record.instance().node();
  Use& use = nodes_[node];
  const api::ResourceTotals& from = record.reserved();
  api::ResourceTotals& to = use.reserved;
  to.set_cpu_millis(to.cpu_millis() + sign * from.cpu_millis());
  to.set_memory_bytes(to.memory_bytes() + sign * from.memory_bytes());
  to.set_pids(to.pids() + sign * from.pids());
  use.instances += static_cast<int32_t>(sign);
  for (const api::Port& port : record.fixed_ports()) {
    auto held = use.ports.emplace(KeyOf(port), 0).first;
    held->second += static_cast<int32_t>(sign);
    if (held->second == 0) use.ports.erase(held);
  }
  if (use.instances == 0) nodes_.erase(node);
}

}  // namespace appsup::entry
