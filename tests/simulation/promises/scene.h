#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appsupervisor/agent/v1/journal.pb.h"
#include "tests/simulation/agent_host.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {

// What the checks look at. Filled before anything happens.
struct Scene {
  World& world;
  const Disk& disk;
  std::vector<const AgentHost*> agents;

  // The agent's record of this instance as its journal has it; nothing if it has none.
  std::optional<appsupervisor::agent::v1::InstanceRecord> Journalled(int node,
                                                                     const std::string& uid) const {
    const auto& rows = agents[static_cast<size_t>(node)]->journal().contents().instances;
    const auto row = rows.find(uid);
    if (row == rows.end()) return std::nullopt;
    appsupervisor::agent::v1::InstanceRecord record;
    record.ParseFromString(row->second);
    return record;
  }
};

}  // namespace appsup::simulation
