#pragma once

#include <string>

#include "entry/core/app_view.h"
#include "entry/core/catalog.h"

// The freshness guard (promise 10): an empty, foreign or older catalog stops and removes nothing. A
// node that follows another history of the catalog is GUARDED until an operator says AcceptCatalog:
// things may be added there, nothing is stopped, changed or removed. Core thread only.
namespace appsup::entry {

// What Hello means for the session that it begins.
struct GuardDecision {
  std::string guard;      // Why the node is guarded, as a sentence with figures; "": it is not.
  bool accepted = false;  // It would be, but an operator accepted this catalog for it.
};

// The position lies on this catalog's own history.
bool IsOnHistory(const Catalog& catalog, const api::Position& position);

// It presents the secret of the node's last session, or the last one that it can have kept.
bool KnowsSecret(const rec::NodeRecord& node, const api::Hello& hello);

// `stands`: where the catalog stands. `node` is as it was before this Hello.
GuardDecision DecideGuard(const Catalog& catalog, const rec::NodeRecord& node,
                          const api::Hello& hello, const api::Position& stands);

// Notes the decision in the record of the node that said this Hello.
void NoteGuard(const GuardDecision& decision, const api::Hello& hello, rec::NodeRecord& node);

// The condition CatalogAccepted of a node that has connected, without its time.
api::Condition GuardCondition(const rec::NodeRecord& node);

// "`appsup nodes accept n1`".
std::string AcceptCommand(const std::string& node_id);

// What of an app waits for guarded nodes, as a sentence; "" if nothing does.
std::string DescribeGuarded(const Catalog& catalog, const AppView& view);

}  // namespace appsup::entry
