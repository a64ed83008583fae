#include "entry/core/brake.h"

#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr double kDefaultShare = 0.5;

bool IsLost(const rec::NodeRecord& node) {
  const api::NodeState state = node.node().status().state();
  return state == api::NODE_STATE_LOST || state == api::NODE_STATE_REVOKED;
}

bool HoldsUnreplaced(const Catalog& catalog, const std::string& node) {
  for (const std::string& name : catalog.InstancesOfNode(node)) {
    const rec::InstanceRecord& record = *catalog.instances.Find(name);
    if (record.instance().desired() == api::DESIRED_STATE_RUN &&
        record.loss() == rec::LOSS_UNSPECIFIED) {
      return true;
    }
  }
  return false;
}

}  // namespace

BrakeCount CountLost(const Catalog& catalog, const std::string& environment) {
  BrakeCount count;
  for (const auto& [name, record] : catalog.nodes.rows()) {
    if (record.node().environment() != environment) continue;
    if (record.node().status().state() == api::NODE_STATE_UNSPECIFIED) continue;
    if (!IsLost(record)) {
      ++count.nodes;
    } else if (HoldsUnreplaced(catalog, name)) {
      ++count.nodes;
      ++count.lost;
    }
  }
  return count;
}

bool IsOverShare(const api::Brake& brake, const BrakeCount& count) {
  const double share = brake.has_share() ? brake.share() : kDefaultShare;
  return count.lost > share * count.nodes;
}

void TouchLostApps(const Catalog& catalog, Dirty& dirty, const std::string& environment) {
  for (const auto& [name, record] : catalog.nodes.rows()) {
    if (record.node().environment() != environment || !IsLost(record)) continue;
    for (const std::string& instance : catalog.InstancesOfNode(name)) dirty.App(AppOf(instance));
  }
}

void UpdateBrake(Catalog& catalog, Dirty& dirty, const std::string& environment) {
  const std::string name = "environments/" + environment;
  const rec::EnvironmentRecord* record = catalog.environments.Find(name);
  if (record == nullptr) return;
  const api::Brake& brake = record->environment().brake();
  const bool over = IsOverShare(brake, CountLost(catalog, environment));
  const bool released = brake.released() && over;
  const bool engaged = over && !released;
  if (engaged == record->brake_engaged() && released == brake.released()) return;
  const bool ends = record->brake_engaged() && !engaged;
  rec::EnvironmentRecord& changed = catalog.environments.Mutate(name);
  changed.set_brake_engaged(engaged);
  if (!released && brake.released()) {
    changed.mutable_environment()->mutable_brake()->clear_released();
  }
  if (ends) TouchLostApps(catalog, dirty, environment);
}

std::string DescribeBrake(const Catalog& catalog, const std::string& environment) {
  const rec::EnvironmentRecord* record = catalog.environments.Find("environments/" + environment);
  if (record == nullptr || !record->brake_engaged()) return "";
  const BrakeCount count = CountLost(catalog, environment);
  return fmt::format("the brake of environment {} holds replacements: {} of {} nodes are lost",
                     environment, count.lost, count.nodes);
}

}  // namespace appsup::entry
