#include "entry/core/notes.h"

#include <bit>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "appsupervisor/v1/operation.pb.h"

namespace appsup::entry {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// What an operation of an app or of a node is told with.
Fields FieldsOf(const api::Operation& operation) {
  const bool node = operation.target().starts_with("nodes/");
  return {{"op", operation.name()},
          {node ? "node" : "app", node ? IdOf(operation.target()) : operation.target()},
          {"kind", operation.kind()}};
}

Note Started(const api::Operation& operation) {
  Note note{false, "operation-started", FieldsOf(operation)};
  note.fields.emplace_back("actor", operation.actor());
  return note;
}

// To be superseded or cancelled is somebody's wish; anything else went wrong.
Note Ended(const api::Operation& operation) {
  Note note{false, "operation-ended", FieldsOf(operation)};
  const auto code = static_cast<absl::StatusCode>(operation.error().code());
  note.fields.emplace_back("state", absl::StatusCodeToString(code));
  if (code == absl::StatusCode::kOk) return note;
  note.warning = code != absl::StatusCode::kAborted && code != absl::StatusCode::kCancelled;
  note.fields.emplace_back("message", operation.error().message());
  return note;
}

void NoteOperations(const Catalog& catalog, std::vector<Note>& notes) {
  for (const auto& [name, before] : catalog.operations.changes()) {
    const rec::OperationRecord* record = catalog.operations.Find(name);
    if (record == nullptr) continue;  // Expired.
    const api::Operation& operation = record->operation();
    if (!before.has_value()) notes.push_back(Started(operation));
    const bool was_done = before.has_value() && before->operation().done();
    if (operation.done() && !was_done) notes.push_back(Ended(operation));
  }
}

bool CannotRun(const api::Instance& instance) {
  return instance.state() == api::INSTANCE_STATE_FAILED ||
         instance.state() == api::INSTANCE_STATE_REJECTED;
}

// How many powers of two a count has reached.
int Magnitude(int32_t count) { return std::bit_width(static_cast<uint32_t>(count)); }

void NoteInstances(const Catalog& catalog, std::vector<Note>& notes) {
  for (const auto& [name, before] : catalog.instances.changes()) {
    const rec::InstanceRecord* record = catalog.instances.Find(name);
    if (record == nullptr) continue;
    const api::Instance& instance = record->instance();
    const api::Instance former = before.has_value() ? before->instance() : api::Instance();
    const bool failed = CannotRun(instance) && !CannotRun(former);
    if (!failed && Magnitude(instance.restarts()) <= Magnitude(former.restarts())) continue;
    Note note{true, failed ? "instance-failed" : "instance-restarted", {}};
    note.fields = {{"instance", instance.uid()},
                   {"name", name},
                   {"app", AppOf(name)},
                   {"node", instance.node()},
                   {"state", api::InstanceState_Name(instance.state())},
                   {"restarts", std::to_string(instance.restarts())},
                   {"message", failed ? instance.message() : record->failure().reason()}};
    notes.push_back(std::move(note));
  }
}

// An instance whose slot was given to another node.
void NoteReplacements(const Catalog& catalog, std::vector<Note>& notes) {
  for (const auto& [name, before] : catalog.instances.changes()) {
    const rec::InstanceRecord* record = catalog.instances.Find(name);
    if (record == nullptr || record->loss() == rec::LOSS_UNSPECIFIED) continue;
    if (before.has_value() && before->loss() != rec::LOSS_UNSPECIFIED) continue;
    const bool proven = record->loss() == rec::LOSS_ENDED;
    notes.push_back({true,
                     "instance-replaced",
                     {{"instance", record->instance().uid()},
                      {"name", name},
                      {"app", AppOf(name)},
                      {"node", record->instance().node()},
                      {"old_copy", proven ? "proven to have ended" : "may still run"}}});
  }
}

void NoteBrakes(const Catalog& catalog, std::vector<Note>& notes) {
  for (const auto& [name, before] : catalog.environments.changes()) {
    const rec::EnvironmentRecord* record = catalog.environments.Find(name);
    const bool was = before.has_value() && before->brake_engaged();
    const bool is = record != nullptr && record->brake_engaged();
    if (was == is) continue;
    notes.push_back({is, is ? "brake-engaged" : "brake-ended", {{"environment", IdOf(name)}}});
  }
}

void NoteGuards(const Catalog& catalog, std::vector<Note>& notes) {
  for (const auto& [name, before] : catalog.nodes.changes()) {
    const rec::NodeRecord* record = catalog.nodes.Find(name);
    if (record == nullptr) continue;
    const rec::NodeRecord former = before.has_value() ? *before : rec::NodeRecord();
    const bool guarded = !record->guard().empty();
    if (guarded && former.guard().empty()) {
      notes.push_back({true, "node-guarded", {{"node", IdOf(name)}, {"reason", record->guard()}}});
    }
    if (guarded && record->has_accepted_position() && !former.has_accepted_position()) {
      notes.push_back({false, "catalog-accepted", {{"node", IdOf(name)}}});
    }
    if (!guarded && !former.guard().empty()) {
      notes.push_back({false, "node-unguarded", {{"node", IdOf(name)}}});
    }
  }
}

}  // namespace

std::vector<Note> NotesOfChanges(const Catalog& catalog) {
  std::vector<Note> notes;
  NoteOperations(catalog, notes);
  NoteInstances(catalog, notes);
  NoteGuards(catalog, notes);
  NoteReplacements(catalog, notes);
  NoteBrakes(catalog, notes);
  return notes;
}

Note NodeConnected(const std::string& node, const std::string& session, const std::string& peer) {
  return {false, "node-connected", {{"node", IdOf(node)}, {"session", session}, {"peer", peer}}};
}

Note NodeDisconnected(const std::string& node, const std::string& session, const std::string& why) {
  return {
      false, "node-disconnected", {{"node", IdOf(node)}, {"session", session}, {"reason", why}}};
}

Note NodeLost(const std::string& node, const std::string& session) {
  return {true,
          "node-lost",
          {{"node", IdOf(node)},
           {"session", session},
           {"reason", "Its agent was not heard for longer than its lease."}}};
}

}  // namespace appsup::entry
