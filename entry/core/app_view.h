#pragma once

#include <map>
#include <string>
#include <vector>

#include "entry/core/catalog.h"
#include "entry/core/sessions.h"

namespace appsup::entry {

// A replica slot that is wanted, and its instances.
struct SlotView {
  std::string environment;  // Id.
  int32_t number = 0;
  // Of the target revision, on a node that stays; the newest. nullptr: none.
  const rec::InstanceRecord* target = nullptr;
  // To be replaced: of other revisions, or on a node that is to be emptied. Oldest first.
  std::vector<const rec::InstanceRecord*> old;
  // To be removed, but not gone yet.
  std::vector<const rec::InstanceRecord*> leaving;
  // On lost nodes, given away although they may still run; until their successor is ready.
  std::vector<const rec::InstanceRecord*> lost;
  // The newest one that ever was in the slot: where it was, the slot would like to be.
  const rec::InstanceRecord* newest = nullptr;
  // The slot's data is on the newest one's node.
  bool bound = false;
};

// One app as the planners see it. Points into the catalog: valid until the next change of it.
struct AppView {
  const rec::AppRecord* record = nullptr;
  const rec::RevisionRecord* target = nullptr;  // nullptr only if the revision is missing.
  api::AppSpec no_spec;                         // Stands in for it.
  bool deleted = false;
  bool runs = false;  // Neither deleted nor stopped.
  bool recreate = false;
  bool fenced = false;  // No two instances of a slot at one time.
  std::vector<std::string> environments;
  std::vector<SlotView> slots;  // By environment, in the order of placement, then by number.
  std::vector<const rec::InstanceRecord*> surplus;  // In no wanted slot, not gone.
  std::vector<const rec::InstanceRecord*> setups;   // Not gone.
  std::vector<const rec::InstanceRecord*> gone;     // Nothing is left of them but, maybe, data.

  const api::AppSpec& spec() const { return record->app().spec(); }
  const api::AppSpec& target_spec() const {
    return target == nullptr ? no_spec : target->revision().spec();
  }
  const std::string& name() const { return record->app().name(); }
};

// The app must exist. Core thread only.
AppView ViewApp(const Catalog& catalog, const std::string& app_name);

// Ids of the environments where the app wants to be: as it says, or its project's only one.
std::vector<std::string> WantedEnvironments(const Catalog& catalog, const rec::AppRecord& app);

int ReplicasOf(const api::AppSpec& spec);

// The revision's record; nullptr if there is none.
const rec::RevisionRecord* FindRevision(const Catalog& catalog, const std::string& app_name,
                                        int64_t number);

}  // namespace appsup::entry
