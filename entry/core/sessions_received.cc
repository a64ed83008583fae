#include <utility>

#include "entry/core/notes.h"
#include "entry/core/session_hello.h"
#include "entry/core/sessions_state.h"
#include "entry/core/status_merge.h"
#include "fmt/format.h"

// What agents say.
namespace appsup::entry {

void Sessions::Received(const AgentMessage& event, const Moment& now) {
  AgentSession* session = state_->Find(event.session);
  if (session == nullptr || session->phase() == AgentSession::Phase::kClosing) return;
  const api::ConnectRequest& message = *event.message;
  const bool greeting = session->phase() == AgentSession::Phase::kHello;
  if (greeting != message.has_hello() &&
      message.message_case() != api::ConnectRequest::MESSAGE_NOT_SET) {
    state_->Close(*session, greeting ? "The first message must be Hello." : "Hello came twice.",
                  false);
    return;
  }
  switch (message.message_case()) {
    case api::ConnectRequest::kHello:
      return state_->TakeHello(*session, message.hello(), now);
    case api::ConnectRequest::kAssignmentsApplied:
      return state_->TakeApplied(*session, message.assignments_applied(), now);
    case api::ConnectRequest::kHeartbeat:
      return state_->TakeHeartbeat(*session, message.heartbeat(), now);
    case api::ConnectRequest::kStatus:
      return state_->TakeStatuses(*session, message.status(), now);
    case api::ConnectRequest::kCommandResult:
      session->TakeResult(message.command_result());
      return state_->Touch(*session);
    case api::ConnectRequest::kLogChunk:
      session->TakeChunk(message.log_chunk());
      return state_->Touch(*session);
    case api::ConnectRequest::MESSAGE_NOT_SET:
      ++state_->counters.unknown_messages;
      return;
  }
}

void Sessions::State::TakeHello(AgentSession& session, const api::Hello& part, const Moment& now) {
  absl::StatusOr<bool> complete = session.AddHello(part);
  if (!complete.ok()) {
    ++counters.refused_hellos;
    return Close(session, std::string(complete.status().message()), false, options.lease);
  }
  if (!*complete) return;
  patience.Drop(session.id());
  // The node may have been deleted or revoked since the stream began.
  if (std::optional<api::Goodbye> refused = RefuseIdentity(catalog, session.connected())) {
    ++counters.refused_hellos;
    return Close(session, refused->reason(), refused->final());
  }
  AcceptHello(session, now);
}

void Sessions::State::AcceptHello(AgentSession& session, const Moment& now) {
  const std::string& node = session.node();
  const rec::NodeRecord& record = *catalog.nodes.Find(node);
  if (AgentSession* older = OpenSession(node)) {
    if (IsClone(record, session.hello())) {
      ++counters.refused_hellos;
      return Close(session,
                   fmt::format("Node {} is connected from {} (machine {}). The stream from {} "
                               "(machine {}) cannot present the secret of that session: it is a "
                               "copy of the machine. Enrol it as a node of its own.",
                               IdOf(node), older->connected().peer, record.machine_id(),
                               session.connected().peer, session.hello().machine_id()),
                   false, options.lease);
    }
    Close(*older, fmt::format("A newer stream of node {} took its place.", IdOf(node)), false);
  }
  const api::Position position = CurrentPosition(catalog, timeline);
  const GuardDecision guard = DecideGuard(catalog, record, session.hello(), position);
  AddDifferences(catalog, guard, session);
  api::Welcome welcome = WelcomeNode(options, catalog, session, guard, position);
  const bool grants_held = lost.count(node) > 0;
  session.Open(std::move(welcome), grants_held);
  notes.push_back(NodeConnected(node, session.name(), session.connected().peer));
  session_of_node[node] = session.id();
  if (grants_held) {
    silences.Set(session.id(), now.boot + options.lease);
  } else {
    ExtendLease(node, now);
  }
  dirty.Node(node);
  Touch(session);
}

void Sessions::State::TakeApplied(AgentSession& session, const api::AssignmentsApplied& applied,
                                  const Moment& now) {
  session.assignments().TakeApplied(applied.version());
  if (applied.resync()) {
    ++counters.resyncs;
    session.assignments().StartComplete();
  }
  for (const api::AssignmentRefused& refused : applied.refused()) {
    const std::string& name = catalog.InstanceByUid(refused.uid());
    const rec::InstanceRecord* record = name.empty() ? nullptr : catalog.instances.Find(name);
    if (record == nullptr || "nodes/" + record->instance().node() != session.node()) continue;
    if (record->generation() != refused.generation()) continue;
    MergeRefusal(refused, now.wall, catalog.instances.Mutate(name));
    dirty.App(AppOf(name));
  }
  NoteWelcomeKept(catalog, session.node());
  if (session.grants_held() && !applied.resync() &&
      session.assignments().Covers(applied.version())) {
    session.ReleaseGrants();
    silences.Drop(session.id());
    lost.erase(session.node());
    ExtendLease(session.node(), now);
    dirty.Node(session.node());
  }
  Touch(session);
}

void Sessions::State::TakeHeartbeat(AgentSession& session, const api::Heartbeat& heartbeat,
                                    const Moment& now) {
  session.Heard(heartbeat);
  if (heartbeat.has_usage()) usage[session.node()] = heartbeat.usage();
  if (session.grants_held()) {
    silences.Set(session.id(), now.boot + options.lease);
  } else {
    ExtendLease(session.node(), now);
  }
  Touch(session);
}

void Sessions::State::TakeStatuses(AgentSession& session, const api::Status& statuses,
                                   const Moment& now) {
  for (const api::InstanceStatus& status : statuses.instances()) {
    TakeStatus(session, status, now);
    session.Acknowledge(status);
  }
  Touch(session);
}

void Sessions::State::TakeStatus(const AgentSession& session, const api::InstanceStatus& status,
                                 const Moment& now) {
  const std::string& name = catalog.InstanceByUid(status.uid());
  const rec::InstanceRecord* record = name.empty() ? nullptr : catalog.instances.Find(name);
  if (record == nullptr) {
    ++counters.unknown_statuses;
    return;
  }
  if (record->instance().node() != session.connected().node) {
    ++counters.foreign_statuses;
    return;
  }
  if (!IsNews(*record, status)) {
    ++counters.repeated_statuses;
    return;
  }
  if (MergeStatus(status, now.wall, catalog.instances.Mutate(name))) dirty.App(AppOf(name));
  if (!status.artifact_sha256().empty()) {
    PinArtifact(catalog, dirty, *record, status.artifact_sha256());
  }
}

}  // namespace appsup::entry
