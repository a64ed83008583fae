#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/random.h"
#include "entry/core/agent_session.h"
#include "entry/core/catalog.h"
#include "entry/core/options.h"

// Who an agent is, and how what it holds differs from what it should. Core thread only.
namespace appsup::entry {

// Whether a node's certificate, which names it by id and uid, is still accepted: PERMISSION_DENIED
// if the node was deleted, made anew or revoked.
absl::Status CheckIdentity(const Catalog& catalog, const std::string& node_id,
                           const std::string& node_uid);

// Why the certificate that a stream showed is not accepted; nothing if it is.
std::optional<api::Goodbye> RefuseIdentity(const Catalog& catalog, const AgentConnected& event);

// Hello comes from another machine than the session that holds the node's lease, or from a copy of
// it: it cannot present the secret of the node's last session.
bool IsClone(const rec::NodeRecord& node, const api::Hello& hello);

// Where this entry's catalog stands.
api::Position CurrentPosition(const Catalog& catalog, const std::string& timeline);

// The position lies on this catalog's own history.
bool IsOnHistory(const Catalog& catalog, const api::Position& position);

// What Welcome called the newest session of this node ("nodes/n"), or "".
std::string LastSession(const Catalog& catalog, const std::string& node);

// Notes in the node's record what Hello says and who it is from now on. Returns its Welcome.
api::Welcome WelcomeNode(const CoreOptions& options, Catalog& catalog, const AgentSession& session,
                         const api::Position& position);

// Puts into the session's set what the agent has to be told: statements that it has not or in
// another form, and removals of what the catalog does not know. An agent that knows another history
// is told of no removal of what is unknown here: this catalog may be the wrong one. It then keeps
// its own position, too.
void AddDifferences(Catalog& catalog, AgentSession& session);

}  // namespace appsup::entry
