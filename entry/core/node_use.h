#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "appsupervisor/store/v1/record.pb.h"

namespace appsup::entry {

// What instances reserve on each node, as running sums: placement never has to look at all
// instances. Nodes by id. Core thread only.
class NodeUse {
 public:
  using PortKey = std::pair<int32_t, appsupervisor::v1::PortProtocol>;

  struct Use {
    appsupervisor::v1::ResourceTotals reserved;
    int32_t instances = 0;
    std::map<PortKey, int32_t> ports;  // Fixed ports → how many instances hold them.
  };

  // Counts what the record reserves now; before the record changes, take it out again.
  void Add(const appsupervisor::store::v1::InstanceRecord& record);
  void Remove(const appsupervisor::store::v1::InstanceRecord& record);

  // Nothing reserved if the node is unknown.
  const Use& Of(const std::string& node_id) const;

  static PortKey KeyOf(const appsupervisor::v1::Port& port);

 private:
  void Count(const appsupervisor::store::v1::InstanceRecord& record, int64_t sign);

  std::map<std::string, Use, std::less<>> nodes_;
};

}  // namespace appsup::entry
