// Whom this node obeys: epochs, the freshness guard, and what runs here without being known.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core_state.h"

namespace appsup::agent {

namespace api = appsupervisor::v1;

namespace {

constexpr int kMaxTimelines = 32;

absl::Status Refuse(const std::string& what, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", why));
}

}  // namespace

// Of the timelines that this node has obeyed, only the newest may still speak, and its epoch never
// falls: promise 5. A timeline that it never met is taken as newer; whether its catalog is, the
// guard decides, and while that is on, nothing of it is remembered.
bool AgentCore::State::Obeys(const api::ConnectResponse& message) {
  const bool remember = node.guard.empty() && message.welcome().guard().empty();
  auto* seen = record.mutable_timelines();
  const auto it = std::find_if(seen->begin(), seen->end(), [&](const auto& known) {
    return known.timeline() == message.timeline();
  });
  if (it == seen->end()) {
    if (!remember) return true;
    if (seen->size() >= kMaxTimelines) seen->erase(seen->begin());
    auto* added = seen->Add();
    added->set_timeline(message.timeline());
    added->set_epoch(message.epoch());
    node_dirty = true;
    return true;
  }
  const bool newest = it == seen->end() - 1;
  if (!newest || message.epoch() < it->epoch()) {
    CloseSession(absl::StrCat("the entry speaks for epoch ", message.epoch(),
                              ", but this node has obeyed epoch ", (seen->end() - 1)->epoch()));
    return false;
  }
  if (message.epoch() > it->epoch() && remember) {
    it->set_epoch(message.epoch());
    node_dirty = true;
  }
  return true;
}

void AgentCore::State::Latch(const std::string& why) {
  if (!node.guard.empty()) return;
  node.guard = why;
  record.set_guard(why);
  node_dirty = true;
  AddNote(true, "guard-latched", {{"reason", why}});
}

// An operator's word: from now on this catalog, and no other, rules the node.
void AgentCore::State::AcceptCatalog(const api::ConnectResponse& message) {
  if (!node.guard.empty()) AddNote(false, "guard-ended", {{"reason", node.guard}});
  node.guard.clear();
  record.clear_guard();
  *record.mutable_position() = message.welcome().position();
  record.clear_timelines();
  auto* ruling = record.add_timelines();
  ruling->set_timeline(message.timeline());
  ruling->set_epoch(message.epoch());
  node_dirty = true;
  wake_with_lease = true;  // What the guard kept waiting may have to go: that is said before.
}

// What the driver runs and the journal does not know is left alone: the entry says what it should
// be. If the journal knows no catalog either, it was lost, and no catalog is trusted.
void AgentCore::State::MeetStrangers(bool first) {
  for (const auto& [uid, processes] : strangers.running) {
    for (const RunningProcess& process : processes) {
      AddNote(true, "process-of-unknown-instance",
              {{"instance", uid}, {"pid", absl::StrCat(process.started.pid)}});
    }
  }
  CountStrangers();
  if (!first || had_position || strangers.running.empty()) return;
  Latch(absl::StrCat("the journal of this node was lost while ", strangers.running.size(),
                     " instances ran on it"));
  if (session.connection() != 0) CloseSession("the journal of this node was lost");
}

void AgentCore::State::CountStrangers() {
  node.stranger_apps.clear();
  for (const auto& [uid, processes] : strangers.running) {
    for (const RunningProcess& process : processes) node.stranger_apps.insert(process.app_uid);
  }
}

void AgentCore::State::ForgetStranger(const std::string& uid) {
  if (!strangers.Knows(uid)) return;
  strangers.Forget(uid);
  CountStrangers();
  node.claims.Wake();
}

// OK if the guard lets this statement through: it may add, but not change what is here.
absl::Status AgentCore::State::CheckGuard(const api::Assignment& assignment,
                                          const Instance* held) const {
  const bool runs = assignment.desired() == api::DESIRED_STATE_RUN;
  if (node.guard.empty()) {
    // Until the driver was met, nobody knows whether the journal was lost.
    if (had_position || driver_seen || runs || held != nullptr) return absl::OkStatus();
    return Refuse("this node does not know yet what runs on it", node.driver_message);
  }
  if (!runs) {
    return Refuse(
        "the freshness guard is on, and nothing is stopped or removed until an operator "
        "accepts the catalog",
        node.guard);
  }
  if (held == nullptr) return absl::OkStatus();
  const api::Assignment& old = held->record().assignment();
  if (SpecDigest(assignment) == SpecDigest(old) && assignment.fenced() == old.fenced() &&
      assignment.restart_nonce() == old.restart_nonce()) {
    return absl::OkStatus();
  }
  return Refuse(
      "the freshness guard is on, and nothing is changed or restarted until an operator "
      "accepts the catalog",
      node.guard);
}

// The removal of a stranger names nothing but its uid; the rest is what the driver says.
api::Assignment AgentCore::State::Completed(const api::Assignment& assignment) const {
  api::Assignment completed = assignment;
  if (assignment.desired() == api::DESIRED_STATE_RUN) return completed;
  if (strangers.IsSetup(assignment.uid())) completed.set_setup(true);
  const auto runs = strangers.running.find(assignment.uid());
  if (completed.app_uid().empty() && runs != strangers.running.end()) {
    completed.set_app_uid(runs->second.front().app_uid);
  }
  return completed;
}

}  // namespace appsup::agent
