#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/random.h"
#include "entry/core/agent_session.h"
#include "entry/core/catalog.h"
#include "entry/core/node_guard.h"
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

// The agent has answered Welcome, so the secret in it, and that the catalog was accepted, are in
// the agent's journal.
void NoteWelcomeKept(Catalog& catalog, const std::string& node);

// Where this entry's catalog stands.
api::Position CurrentPosition(const Catalog& catalog, const std::string& timeline);

// What Welcome called the newest session of this node ("nodes/n"), or "".
std::string LastSession(const Catalog& catalog, const std::string& node);

// How often the agents of a fleet of so many nodes are to send heartbeats: as the options say, or
// less often, so that they stay below 1,000 a second; but twice per lease.
absl::Duration HeartbeatPeriod(const CoreOptions& options, size_t nodes);

// Notes in the node's record what Hello says and who it is from now on. Returns its Welcome. A node
// that is guarded is not told the position: it keeps its own, and so stays a stranger.
api::Welcome WelcomeNode(const CoreOptions& options, Catalog& catalog, const AgentSession& session,
                         const GuardDecision& guard, const api::Position& position);

// Puts into the session's set what the agent has to be told: statements that it has not or in
// another form, and removals of what the catalog does not know. A node that is guarded is told only
// of instances that are to run and that it does not hold, now and later in the session.
void AddDifferences(Catalog& catalog, const GuardDecision& guard, AgentSession& session);

}  // namespace appsup::entry
