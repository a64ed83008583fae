// What the entry says, and what it is told.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core_state.h"
#include "agent/core/assignment_check.h"

namespace appsup::agent {

namespace api = appsupervisor::v1;

namespace {

constexpr size_t kHeldOverhead = 8;  // Tag and length of a HeldInstance in its Hello.

}  // namespace

void AgentCore::State::On(const LinkUp& event) {
  EndSession();
  waiting_connection = event.connection;
  if (driver_seen || now.boot >= started + options.driver_patience) SayHello();
}

void AgentCore::State::SayHello() {
  said_drivers = node.driver.enforces;
  session.Up(std::exchange(waiting_connection, 0), MakeHello(),
             last_index + (dirty.empty() && !node_dirty ? 0 : 1), now);
}

std::vector<api::Hello> AgentCore::State::MakeHello() const {
  std::vector<api::Hello> parts(1);
  api::Hello& first = parts[0];
  first.set_machine_id(options.machine_id);
  first.set_boot_id(options.boot_id);
  first.set_last_session_secret(record.session_secret());
  first.mutable_versions()->insert(options.versions.begin(), options.versions.end());
  *first.mutable_capacity() = options.capacity;
  if (driver_seen) {
    if (!node.driver.version.empty()) (*first.mutable_versions())["keeper"] = node.driver.version;
    api::DriverInfo* driver = first.add_drivers();
    driver->set_name(node.driver.name);
    for (const std::string& what : node.driver.enforces) driver->add_enforces(what);
    driver->set_message(node.driver.message);
  }
  first.set_address(options.address);
  *first.mutable_position() = record.position();
  first.set_guarded(!node.guard.empty());
  size_t bytes = first.ByteSizeLong();
  const auto add = [&](api::HeldInstance held) {
    const size_t size = held.ByteSizeLong() + kHeldOverhead;
    if (bytes + size > options.max_message_bytes && parts.back().instances_size() > 0) {
      parts.back().set_more(true);
      parts.emplace_back();
      bytes = 0;
    }
    bytes += size;
    *parts.back().add_instances() = std::move(held);
  };
  for (const auto& [uid, instance] : instances) {
    api::HeldInstance held;
    held.set_uid(uid);
    held.set_generation(instance->record().assignment().generation());
    held.set_digest(instance->record().assignment().digest());
    held.set_attempt(instance->record().attempt());
    held.set_sequence(reports.SequenceOf(uid));
    add(std::move(held));
  }
  // What runs, or has ended, here without being known here: the entry says what it should be.
  std::set<std::string> unknown;
  for (const auto& [uid, processes] : strangers.running) unknown.insert(uid);
  for (const auto& [uid, exits] : strangers.exits) unknown.insert(uid);
  for (const std::string& uid : unknown) {
    api::HeldInstance held;
    held.set_uid(uid);
    held.set_attempt(strangers.NewestAttempt(uid));
    add(std::move(held));
  }
  return parts;
}

void AgentCore::State::On(const LinkWritable& event) {
  if (event.connection == session.connection()) session.Writable();
}

void AgentCore::State::On(const LinkDown& event) {
  if (event.connection == waiting_connection) waiting_connection = 0;
  if (event.connection != session.connection() || session.connection() == 0) return;
  AddNote(false, "link-down", {{"reason", event.status.ToString()}});
  EndSession();
}

void AgentCore::State::EndSession() {
  for (int64_t id : session.OpenCommands()) at_once.push_back(CancelRead{session.connection(), id});
  session.Down();
  applied.reset();
}

void AgentCore::State::CloseSession(const std::string& reason) {
  AddNote(true, "link-closed", {{"reason", reason}});
  at_once.push_back(CloseLink{session.connection(), reason});
  EndSession();
}

void AgentCore::State::On(const LinkMessage& event) {
  if (event.connection != session.connection() || session.connection() == 0) return;
  const api::ConnectResponse& message = *event.message;
  if (message.message_case() == api::ConnectResponse::kGoodbye) {
    AddNote(true, "goodbye", {{"reason", message.goodbye().reason()}});
    return;  // The link acts on it.
  }
  if (!Obeys(message)) return;
  if (message.message_case() == api::ConnectResponse::kWelcome) {
    OnWelcome(message);
    return;
  }
  if (!session.open()) {
    ++ignored_messages;
    return;
  }
  switch (message.message_case()) {
    case api::ConnectResponse::kAssignments:
      OnAssignments(message.assignments());
      break;
    case api::ConnectResponse::kLeaseGranted:
      OnLeaseGranted(message.lease_granted());
      break;
    case api::ConnectResponse::kStatusAck:
      OnStatusAck(message.status_ack());
      break;
    case api::ConnectResponse::kCommand:
      OnCommand(message.command());
      break;
    case api::ConnectResponse::kCancelCommand:
      if (!session.HasCommand(message.cancel_command().id())) break;
      at_once.push_back(CancelRead{session.connection(), message.cancel_command().id()});
      session.DropCommand(message.cancel_command().id());
      break;
    default:
      ++ignored_messages;
      break;
  }
}

void AgentCore::State::OnWelcome(const api::ConnectResponse& message) {
  if (session.open()) {
    ++ignored_messages;
    return;
  }
  const api::Welcome& welcome = message.welcome();
  if (!welcome.guard().empty()) {
    Latch(welcome.guard());
  } else if (welcome.catalog_accepted()) {
    AcceptCatalog(message);
  }
  record.set_session_secret(welcome.session_secret());
  if (!welcome.node().empty()) record.set_node(welcome.node());
  node.node = record.node();
  node_dirty = true;
  session.Welcomed(welcome, now);
  session.SetUsage(said_usage);
  reports.SessionStarted(message.timeline() != reported_timeline);
  reported_timeline = message.timeline();
  AddNote(false, "link-open",
          {{"session", welcome.session()},
           {"node", welcome.node()},
           {"incarnation", absl::StrCat(welcome.incarnation())}});
}

// All fences move in one effect: they are gathered until Flush.
void AgentCore::State::OnLeaseGranted(const api::LeaseGranted& granted) {
  const absl::Duration end = session.Granted(granted, now);
  if (std::exchange(wake_with_lease, false)) node.claims.Wake();
  if (end <= node.lease_end) return;
  node.lease_end = end;
  node.lease = session.lease();
  for (auto& [uid, instance] : instances) {
    if (!instance->HeedsLease()) continue;
    With(*instance, [](Instance& it, Turn& turn) { it.OnLease(turn); });
  }
}

void AgentCore::State::OnAssignments(const api::Assignments& message) {
  api::Assignments batch;
  const LinkSession::Verdict verdict = session.Take(message, &batch);
  if (verdict == LinkSession::Verdict::kPending) return;
  if (!applied) applied.emplace();
  applied->set_version(session.version());
  if (verdict == LinkSession::Verdict::kGap) {
    ++resyncs;
    applied->set_resync(true);
    AddNote(true, "assignments-gap",
            {{"base", absl::StrCat(message.base())}, {"version", absl::StrCat(session.version())}});
    return;
  }
  if (!stall.empty()) {
    resync_after_stall = true;
    for (const api::Assignment& assignment : batch.assignments()) {
      api::AssignmentRefused* refused = applied->add_refused();
      refused->set_uid(assignment.uid());
      refused->set_generation(assignment.generation());
      refused->set_message(absl::StrCat("this node cannot write its journal: ", stall));
    }
    return;
  }
  for (const api::Assignment& assignment : batch.assignments()) {
    OnAssignment(assignment, &*applied);
  }
  if (!node.guard.empty() || (!had_position && !driver_seen)) return;
  if (batch.has_position()) *record.mutable_position() = batch.position();
  if (batch.node_desired() != api::NODE_DESIRED_UNSPECIFIED) {
    record.set_desired(batch.node_desired());
  }
  node_dirty = true;
}

void AgentCore::State::OnAssignment(const api::Assignment& assignment,
                                    api::AssignmentsApplied* answer) {
  Instance* held = Find(assignment.uid());
  GoOnAfter(assignment, held);
  if (held != nullptr) {
    const api::Assignment& old = held->record().assignment();
    if (assignment.generation() < old.generation()) return;
    if (assignment.generation() == old.generation() && assignment.digest() == old.digest()) return;
  }
  absl::Status status =
      CheckAssignment(node, assignment, held == nullptr ? nullptr : &held->record());
  if (status.ok() && held != nullptr &&
      assignment.generation() == held->record().assignment().generation()) {
    status = absl::InvalidArgumentError(absl::StrCat("generation ", assignment.generation(),
                                                     " was stated before with other content"));
  }
  if (status.ok()) status = CheckGuard(assignment, held);
  if (!status.ok()) {
    api::AssignmentRefused* refused = answer->add_refused();
    refused->set_uid(assignment.uid());
    refused->set_generation(assignment.generation());
    refused->set_message(std::string(status.message()));
    return;
  }
  if (held != nullptr) {
    With(*held, [&](Instance& it, Turn& turn) { it.Assign(assignment, turn); });
    return;
  }
  held = (instances[assignment.uid()] = std::make_unique<Instance>()).get();
  With(*held, [&](Instance& it, Turn& turn) {
    it.Assign(Completed(assignment), turn);
    if (driver_seen) it.Adopt(FindAttempt(it.record(), options.boot_id, strangers), turn);
  });
  ForgetStranger(assignment.uid());
}

// Promise 6 also holds when the journal was lost, or is older than what was reported.
void AgentCore::State::GoOnAfter(const api::Assignment& assignment, Instance* held) {
  if (!IsPlausible(assignment)) return;  // It is refused.
  if (reports.GoOnAfter(assignment.uid(), assignment.known_sequence())) {
    record.set_start_count(std::max(record.start_count(),
                                    assignment.known_sequence() >> ReportBook::kStartCountShift));
    node_dirty = true;
  }
  if (held == nullptr) return;
  With(*held, [&](Instance& it, Turn& turn) { it.GoOnAfter(assignment.known_attempt(), turn); });
}

void AgentCore::State::OnStatusAck(const api::StatusAck& ack) {
  for (const api::StatusAck::Entry& entry : ack.instances()) {
    if (reports.Acknowledge(entry) == api::INSTANCE_STATE_REMOVED) Erase(entry.uid());
  }
}

void AgentCore::State::OnCommand(const api::Command& command) {
  if (!session.BeginCommand(command.id())) {
    ++ignored_messages;
    return;
  }
  if (command.has_read_log()) {
    at_once.push_back(ReadLog{session.connection(), command.id(), command.read_log()});
    return;
  }
  session.EndCommand(command.id(), std::nullopt,
                     absl::UnimplementedError("this agent does not know the command"));
}

void AgentCore::State::On(LogRead& event) {
  if (event.connection != session.connection()) return;
  std::optional<api::LogChunk> chunk;
  if (event.has_chunk) {
    event.chunk.set_command_id(event.command_id);
    chunk = std::move(event.chunk);
  }
  session.EndCommand(event.command_id, std::move(chunk), event.status);
}

}  // namespace appsup::agent
