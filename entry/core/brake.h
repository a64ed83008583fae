#pragma once

#include <string>

#include "entry/core/catalog.h"
#include "entry/core/dirty.h"

// Many nodes lost at once: the brake of an environment holds replacements (proto: Brake).
namespace appsup::entry {

struct BrakeCount {
  int lost = 0;   // LOST or REVOKED nodes with instances that should run and are not replaced.
  int nodes = 0;  // These, and all nodes that answer.
};

// `environment` is an id.
BrakeCount CountLost(const Catalog& catalog, const std::string& environment);

// More are lost than the environment's share allows, whether or not an operator let them go.
bool IsOverShare(const api::Brake& brake, const BrakeCount& count);

// Brings the record of the environment up to date after a node of it changed: engages or ends the
// brake, and forgets a release when it is not needed any more. Apps with instances on lost nodes
// become dirty when the brake ends.
void UpdateBrake(Catalog& catalog, Dirty& dirty, const std::string& environment);

// Apps with instances on lost nodes of this environment are looked at again.
void TouchLostApps(const Catalog& catalog, Dirty& dirty, const std::string& environment);

// "the brake of environment eu holds replacements: 3 of 4 nodes are lost"; "" if it does not.
std::string DescribeBrake(const Catalog& catalog, const std::string& environment);

}  // namespace appsup::entry
