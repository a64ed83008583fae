// EntryCore::Flush: from what changed to what the shell has to do.
#include <algorithm>
#include <iterator>
#include <utility>

#include "common/check.h"
#include "entry/core/entry_core_state.h"
#include "entry/core/notes.h"
#include "entry/core/reconcile.h"

namespace appsup::entry {
namespace {

// An app and its nodes make each other dirty; more rounds than this are left to the next Flush.
constexpr int kMaxRounds = 16;

}  // namespace

std::vector<Effect> EntryCore::Flush(const Moment& now) {
  State& s = *state_;
  std::vector<Effect> out;
  if (!s.failed) {
    if (s.sessions->next_deadline() <= now.boot) s.sessions->Expire(now);
    s.housekeeping->Run(now);
    for (const std::string& name : s.app_schedule.TakeExpired(now.boot)) s.dirty.App(name);
    for (const std::string& name : s.node_schedule.TakeExpired(now.boot)) s.dirty.Node(name);
    s.Reconcile(now);
    s.housekeeping->LimitOperations();
    std::vector<Effect> logs = s.CollectLogs(now);
    std::vector<Note> notes = s.sessions->TakeNotes();
    std::ranges::move(s.housekeeping->TakeNotes(), std::back_inserter(notes));
    std::ranges::move(NotesOfChanges(s.catalog), std::back_inserter(notes));
    s.TakeTransaction(now, out);
    // Only now, so that the position that agents are told covers what they are told.
    std::vector<Effect> to_agents = s.sessions->Collect(now);
    const int64_t index = s.catalog.last_index();
    for (Effect& effect : std::exchange(s.replies, {})) s.Show(index, std::move(effect), out);
    for (Effect& effect : to_agents) s.Show(index, std::move(effect), out);
    for (Note& note : notes) s.Show(index, std::move(note), out);
    s.TellWaiters(now, out);
    std::move(logs.begin(), logs.end(), std::back_inserter(out));
    s.SetTimerIfNeeded(now, out);
  }
  std::vector<Effect> all = std::exchange(s.ready, {});
  std::move(out.begin(), out.end(), std::back_inserter(all));
  for (const Effect& effect : all) {
    if (const auto* reply = std::get_if<Reply>(&effect)) s.open_calls.erase(reply->call);
    if (const auto* end = std::get_if<StreamEnd>(&effect)) s.open_calls.erase(end->call);
  }
  return all;
}

void EntryCore::State::Reconcile(const Moment& now) {
  for (int round = 0; round < kMaxRounds && !dirty.empty(); ++round) {
    for (const std::string& name : dirty.TakeNodes()) {
      if (catalog.nodes.Find(name) == nullptr) {
        node_schedule.Drop(name);
        continue;
      }
      node_schedule.Set(name,
                        ReconcileNode(options, catalog, *sessions, dirty, patience, name, now));
    }
    for (const std::string& name : dirty.TakeApps()) {
      if (catalog.apps.Find(name) == nullptr) {
        app_schedule.Drop(name);
        continue;
      }
      app_schedule.Set(name,
                       ReconcileApp(options, catalog, *sessions, dirty, patience, ids, name, now));
    }
    for (const auto& [node, instance] : dirty.TakeAssignments()) {
      sessions->AssignmentChanged(node, instance);
    }
  }
}

void EntryCore::State::TakeTransaction(const Moment& now, std::vector<Effect>& out) {
  if (!catalog.changed()) return;
  Transaction transaction = catalog.TakeTransaction(now.wall);
  transaction.trim_changes_before = housekeeping->TakeTrim();
  waiters->feed.Append(transaction);
  for (const ChangedResource& resource : catalog.last_changes()) {
    if (resource.kind == "Operation") waiters->operations.Changed(resource.name);
  }
  out.push_back(Commit{std::move(transaction)});
}

void EntryCore::State::TellWaiters(const Moment& now, std::vector<Effect>& out) {
  std::vector<Effect> effects;
  waiters->operations.Collect(catalog, now, effects);
  for (Effect& effect : effects) Show(catalog.last_index(), std::move(effect), out);
  std::vector<FeedEffect> feed;
  waiters->feed.Collect(now, feed);
  for (FeedEffect& effect : feed) Show(effect.needed_index, std::move(effect.effect), out);
}

// May give commands to sessions. Logs are not part of the catalog, so they wait for no commit.
std::vector<Effect> EntryCore::State::CollectLogs(const Moment& now) {
  for (const auto& [name, before] : catalog.instances.changes()) {
    waiters->tails.InstanceChanged(name);
  }
  std::vector<Effect> effects;
  waiters->tails.Collect(*sessions, now, effects);
  return effects;
}

void EntryCore::State::Show(int64_t index, Effect effect, std::vector<Effect>& out) {
  if (index <= static_cast<int64_t>(gate.durable_index())) {
    out.push_back(std::move(effect));
  } else {
    gate.Hold(static_cast<uint64_t>(index), std::move(effect));
  }
}

void EntryCore::State::SetTimerIfNeeded(const Moment& now, std::vector<Effect>& out) {
  absl::Duration next =
      std::min({app_schedule.next(), node_schedule.next(), sessions->next_deadline(),
                housekeeping->next_deadline(), waiters->next_deadline()});
  if (!dirty.empty()) next = now.boot;
  if (next == timer) return;
  timer = next;
  out.push_back(SetTimer{next});
}

}  // namespace appsup::entry
