#include "entry/core/sessions.h"

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "entry/core/notes.h"
#include "entry/core/proto_time.h"
#include "entry/core/session_hello.h"
#include "entry/core/sessions_state.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr int kGraceLeases = 2;  // After an entry's start.
constexpr absl::Duration kHelloPatience = absl::Seconds(30);
constexpr absl::Duration kWritePatience = absl::Seconds(60);

absl::Status NotConnected(const std::string& node) {
  return MakeError(absl::StatusCode::kUnavailable, "NODE_NOT_CONNECTED",
                   "Node " + IdOf(node) + " is not connected; try again when it is.",
                   {{"node", IdOf(node)}});
}

// Was there before this start, as far as the catalog knows.
bool WasAlive(const rec::NodeRecord& node) {
  const api::NodeState state = node.node().status().state();
  return state == api::NODE_STATE_READY || state == api::NODE_STATE_DRAINING ||
         state == api::NODE_STATE_DRAINED || state == api::NODE_STATE_GUARDED ||
         state == api::NODE_STATE_REVOKED;
}

}  // namespace

AgentSession* Sessions::State::Find(SessionId id) {
  auto session = sessions.find(id);
  return session == sessions.end() ? nullptr : session->second.get();
}

AgentSession* Sessions::State::OpenSession(const std::string& node) {
  auto session = session_of_node.find(node);
  return session == session_of_node.end() ? nullptr : Find(session->second);
}

void Sessions::State::Close(AgentSession& session, const std::string& reason, bool final,
                            absl::Duration retry_after) {
  api::Goodbye goodbye;
  goodbye.set_reason(reason);
  goodbye.set_final(final);
  if (retry_after > absl::ZeroDuration()) {
    *goodbye.mutable_retry_after() = ToProtoDuration(retry_after);
  }
  session.Close(std::move(goodbye));
  Leave(session, reason);
  Touch(session);
}

void Sessions::State::Leave(AgentSession& session, const std::string& why) {
  auto current = session_of_node.find(session.node());
  if (current != session_of_node.end() && current->second == session.id()) {
    session_of_node.erase(current);
    dirty.Node(session.node());
    notes.push_back(NodeDisconnected(session.node(), session.name(), why));
  }
  session.FailCommands(NotConnected(session.node()));
}

void Sessions::State::ExtendLease(const std::string& node, const Moment& now) {
  const absl::Duration until = now.boot + options.lease;
  if (leases.Has(node) && leases.Until(node) >= until) return;
  leases.Set(node, until);
}

Sessions::Sessions(const CoreOptions& options, Catalog& catalog, Dirty& dirty, Random&,
                   int64_t epoch, const std::string& timeline, const Moment& now)
    : state_(new State{
          options, catalog, dirty, epoch, timeline, {}, {}, {}, {}, {}, {}, {}, {}, {}, 0, {}}) {
  for (const auto& [name, node] : catalog.nodes.rows()) {
    dirty.Node(name);
    if (WasAlive(node)) state_->leases.Set(name, now.boot + kGraceLeases * options.lease);
    if (node.node().status().state() == api::NODE_STATE_LOST) state_->lost[name] = now.boot;
  }
}

Sessions::~Sessions() = default;

void Sessions::Connected(const AgentConnected& event, const Moment& now) {
  auto& session = state_->sessions[event.session];
  session = std::make_unique<AgentSession>(event);
  state_->patience.Set(event.session, now.boot + kHelloPatience);
  if (event.certificate_expires > absl::UnixEpoch()) {
    state_->certificates.Set(event.session, now.boot + (event.certificate_expires - now.wall));
  }
  if (std::optional<api::Goodbye> refused = RefuseIdentity(state_->catalog, event)) {
    ++state_->counters.refused_hellos;
    session->Close(*std::move(refused));
    state_->Touch(*session);
  }
}

void Sessions::Writable(SessionId id, const Moment&) {
  AgentSession* session = state_->Find(id);
  if (session == nullptr) return;
  session->Written();
  state_->patience.Drop(id);
  state_->Touch(*session);
}

void Sessions::Disconnected(SessionId id, const Moment&) {
  AgentSession* session = state_->Find(id);
  if (session == nullptr) return;
  state_->Leave(*session, "The stream ended.");
  state_->patience.Drop(id);
  state_->silences.Drop(id);
  state_->certificates.Drop(id);
  state_->talkative.erase(id);
  state_->sessions.erase(id);
}

// A stream would outlive the certificate that it was opened with. Agents renew theirs long before
// and come with a new stream.
void Sessions::State::EndExpiredCertificates(const Moment& now) {
  for (SessionId id : certificates.TakeExpired(now.boot)) {
    AgentSession* session = Find(id);
    if (session == nullptr) continue;
    const absl::Time expires = session->connected().certificate_expires;
    if (expires > now.wall) {  // The wall clock was set back meanwhile.
      certificates.Set(id, now.boot + (expires - now.wall));
      continue;
    }
    Close(*session,
          fmt::format("The certificate of node {} expired at {}; connect again with a new one.",
                      IdOf(session->node()), absl::FormatTime(expires, absl::UTCTimeZone())),
          false);
  }
}

void Sessions::Expire(const Moment& now) {
  state_->EndExpiredCertificates(now);
  for (const std::string& node : state_->leases.TakeExpired(now.boot)) {
    state_->lost[node] = now.boot;
    state_->dirty.Node(node);
    for (const std::string& name : state_->catalog.InstancesOfNode(node)) {
      state_->dirty.App(AppOf(name));
    }
    ++state_->counters.leases_lost;
    state_->notes.push_back(NodeLost(node, LastSession(state_->catalog, node)));
    if (AgentSession* session = state_->OpenSession(node)) {
      state_->Close(*session, "The lease ended because no heartbeat came; connect again.", false);
    }
  }
  for (SessionId id : state_->silences.TakeExpired(now.boot)) {
    AgentSession* session = state_->Find(id);
    if (session != nullptr) state_->Close(*session, "No heartbeat came; connect again.", false);
  }
  for (SessionId id : state_->patience.TakeExpired(now.boot)) {
    AgentSession* session = state_->Find(id);
    if (session == nullptr) continue;
    const bool greeting = session->phase() == AgentSession::Phase::kHello;
    state_->Close(*session, greeting ? "No Hello came." : "Messages are not read.", false);
    if (!greeting) session->Abandon();
  }
}

void Sessions::AssignmentChanged(const std::string& node, const std::string& instance_name) {
  AgentSession* session = state_->OpenSession(node);
  if (session == nullptr) return;
  session->assignments().Add(instance_name);
  state_->Touch(*session);
}

std::vector<Effect> Sessions::Collect(const Moment& now) {
  std::vector<Effect> effects;
  const api::Position position = CurrentPosition(state_->catalog, state_->timeline);
  for (SessionId id : std::exchange(state_->talkative, {})) {
    AgentSession* session = state_->Find(id);
    if (session == nullptr) continue;
    if (auto message = session->Compose(state_->catalog, position)) {
      message->set_timeline(state_->timeline);
      message->set_epoch(state_->epoch);
      state_->patience.Set(id, now.boot + kWritePatience);
      effects.push_back(SendToAgent{id, std::move(message)});
    }
    if (session->TakeEnd()) effects.push_back(CloseAgent{id, session->close_reason()});
  }
  return effects;
}

std::vector<Note> Sessions::TakeNotes() { return std::exchange(state_->notes, {}); }

absl::StatusOr<int64_t> Sessions::SendCommand(const std::string& node, api::Command command,
                                              CommandResult on_result) {
  AgentSession* session = state_->OpenSession(node);
  if (session == nullptr) return NotConnected(node);
  const int64_t id = state_->last_command + 1;
  RETURN_IF_ERROR(session->AddCommand(id, std::move(command), std::move(on_result)));
  state_->last_command = id;
  state_->Touch(*session);
  return id;
}

void Sessions::CancelCommand(const std::string& node, int64_t id) {
  AgentSession* session = state_->OpenSession(node);
  if (session == nullptr) return;
  session->CancelCommand(id);
  state_->Touch(*session);
}

void Sessions::Close(const std::string& node, const std::string& reason, bool final) {
  if (AgentSession* session = state_->OpenSession(node)) state_->Close(*session, reason, final);
}

void Sessions::Forget(const std::string& node) {
  state_->leases.Drop(node);
  state_->lost.erase(node);
  state_->usage.erase(node);
}

bool Sessions::Connected(const std::string& node) const {
  return state_->OpenSession(node) != nullptr && !Lost(node);
}

std::optional<absl::Duration> Sessions::LostSince(const std::string& node) const {
  auto lost = state_->lost.find(node);
  if (lost == state_->lost.end()) return std::nullopt;
  return lost->second;
}

bool Sessions::Lost(const std::string& node) const { return state_->lost.count(node) > 0; }

absl::Time Sessions::LeaseExpires(const std::string& node, const Moment& now) const {
  if (!state_->leases.Has(node)) return absl::InfiniteFuture();
  return now.wall + (state_->leases.Until(node) - now.boot);
}

void Sessions::FillStatus(const std::string& node, const Moment& now,
                          api::NodeStatus* status) const {
  if (state_->leases.Has(node)) {
    *status->mutable_lease_expire_time() = ToTimestamp(LeaseExpires(node, now));
  }
  auto usage = state_->usage.find(node);
  if (usage != state_->usage.end()) *status->mutable_usage() = usage->second;
}

absl::Duration Sessions::next_deadline() const {
  return std::min({state_->leases.next(), state_->silences.next(), state_->patience.next(),
                   state_->certificates.next()});
}

Sessions::Counters Sessions::counters() const {
  Counters counters = state_->counters;
  counters.sessions = static_cast<int64_t>(state_->sessions.size());
  return counters;
}

}  // namespace appsup::entry
