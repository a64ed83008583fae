#pragma once

#include <string>
#include <vector>

#include "entry/core/catalog.h"
#include "entry/core/effect.h"

// Lines for the entry's log. Ids have the same keys and values as in the agents' logs: `op` and
// `app` are names, `node` is an id, `instance` a uid, with its `name` beside it.
namespace appsup::entry {

// operation-started, operation-ended, instance-failed, instance-restarted, instance-replaced,
// brake-engaged, brake-ended, node-guarded, catalog-accepted and node-unguarded: of what changed
// since the last TakeTransaction. Of an instance that keeps ending only restart 1, 2, 4, 8 … is
// told.
std::vector<Note> NotesOfChanges(const Catalog& catalog);

// `session` as Welcome names it; of a node that is lost without a session, its last one. `node` is
// a name.
Note NodeConnected(const std::string& node, const std::string& session, const std::string& peer);
Note NodeDisconnected(const std::string& node, const std::string& session, const std::string& why);
Note NodeLost(const std::string& node, const std::string& session);

}  // namespace appsup::entry
