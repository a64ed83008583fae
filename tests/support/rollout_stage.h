#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "entry/core/instance_facts.h"
#include "tests/support/entry_stage.h"

// For tests of what becomes of one app.
namespace appsup::entry {

inline api::AppSpec RolloutSpec(int replicas = 1) {
  api::AppSpec spec;
  spec.set_replicas(replicas);
  spec.mutable_placement()->add_environments("eu");
  spec.mutable_runtime()->mutable_process()->add_command("serve");
  spec.add_ports()->set_name("http");
  return spec;
}

// One environment "eu" with node "n1" and, maybe, more.
struct RolloutStage : EntryStage {
  explicit RolloutStage(int nodes = 1) {
    AddEnvironment("eu");
    for (int i = 1; i <= nodes; ++i) AddNode("n" + std::to_string(i));
    Run();
  }

  void Behave(int64_t revision, Behaviour behaviour) {
    for (int i = 1; catalog.nodes.Find("nodes/n" + std::to_string(i)) != nullptr; ++i) {
      agent("n" + std::to_string(i)).behaviours[revision] = behaviour;
    }
  }

  int Serving(const std::string& id) const {
    const std::vector<rec::InstanceRecord> all = instances(id);
    return static_cast<int>(std::count_if(all.begin(), all.end(), IsServing));
  }

  const api::Operation& op(const std::string& id) const { return operation(AppName(id)); }
};

inline void EditCommand(api::AppSpec& spec) {
  spec.mutable_runtime()->mutable_process()->add_command("-v");
}

}  // namespace appsup::entry
