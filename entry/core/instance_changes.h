#pragma once

#include <string>

#include "common/clock.h"
#include "common/random.h"
#include "entry/core/app_view.h"
#include "entry/core/dirty.h"
#include "entry/core/options.h"
#include "entry/core/patience.h"
#include "entry/core/placement.h"
#include "entry/core/sessions.h"

// The changes that reconciling an app makes to its instances. Core thread only.
namespace appsup::entry {

// What reconciling works on.
struct Ground {
  const CoreOptions& options;
  Catalog& catalog;
  const Sessions& sessions;
  Dirty& dirty;
  Patience& patience;
  const Moment& now;
};

// A new instance of the target revision, told to run. Its id is "{environment}-{slot}-{random}", or
// "{environment}-setup-{random}". Returns its name.
std::string CreateInstance(const Ground& ground, Random& random, const AppView& view,
                           const SlotView& slot, const std::string& node, bool setup);

// States what the instance should be, under the app's present generation and, for RUN, restart
// nonce. `purge_data` only goes with REMOVE.
void SetDesired(const Ground& ground, const std::string& instance_name, api::DesiredState desired,
                bool purge_data = false);

// Erases what is gone, or whose node was deleted. The newest instance of a slot with NODE data
// stays as a mark of where the data is, until the app is purged. Frees what ended instances
// reserved.
void ClearGone(const Ground& ground, const std::string& app_name);

// Brings an environment's nodes into the placer; or why nothing can be placed there.
void LoadEnvironment(const Ground& ground, const std::string& app_name,
                     const std::string& environment, Placer& placer);

// Notes at the instances why they cannot leave nodes that are to be emptied.
void NoteStuck(const Ground& ground, const std::string& app_name,
               const std::map<std::string, std::string>& why_by_name);

}  // namespace appsup::entry
