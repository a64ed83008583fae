// What goes wrong.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "tests/simulation/app_maker.h"
#include "tests/simulation/simulation.h"

namespace appsup::simulation {
namespace {

// Seconds to a year, either way.
absl::Duration DrawJump(Random& random) {
  const absl::Duration sizes[] = {absl::Seconds(20), absl::Minutes(10), absl::Hours(30),
                                  absl::Hours(24 * 370)};
  const absl::Duration size = sizes[random.Below(4)];
  const absl::Duration jump = Between(random, size / 10, size);
  return Chance(random, 50) ? jump : -jump;
}

}  // namespace

void Simulation::BreakNetwork(const Action& action) {
  const int node = action.node;
  switch (action.kind) {
    case ActionKind::kPartition:
    case ActionKind::kPartitionUp:
    case ActionKind::kPartitionDown: {
      const bool up = action.kind != ActionKind::kPartitionDown;
      const bool down = action.kind != ActionKind::kPartitionUp;
      if (up) network_.Block(node, Side::kAgent, true);
      if (down) network_.Block(node, Side::kEntry, true);
      Until(action.length, [this, node, up, down] {
        if (up) network_.Block(node, Side::kAgent, false);
        if (down) network_.Block(node, Side::kEntry, false);
      });
      return;
    }
    case ActionKind::kHalfOpen:
      return network_.BlackHole(node);
    case ActionKind::kSlowNetwork:
      network_.SetDelay(node, absl::Milliseconds(20), absl::Seconds(1));
      Until(action.length, [this, node] {
        network_.SetDelay(node, absl::Microseconds(200), absl::Milliseconds(2));
      });
      return;
    case ActionKind::kGap:
      network_.MakeGap(node);
      return Until(action.length, [this, node] { network_.EndGap(node); });
    case ActionKind::kReset:
      return network_.Reset(node);
    case ActionKind::kSmallParts:
      network_.SetSmallParts(node, true);
      return Until(action.length, [this, node] { network_.SetSmallParts(node, false); });
    default:
      return network_.Refuse(node, 1 + static_cast<int>(action.value % 6));
  }
}

void Simulation::BreakEntry(const Action& action) {
  SeededRandom random(action.value);
  EntryHost& entry = active();
  switch (action.kind) {
    case ActionKind::kEntryCrash:
    case ActionKind::kEntryPower:
      entry.Crash(action.kind == ActionKind::kEntryPower);
      return Until(action.length, [&entry] { entry.Start(); });
    case ActionKind::kEntryTakeover:
      return TakeOver(action);
    case ActionKind::kEntryCutOff:
      return CutOff(action);
    case ActionKind::kSlowWatchers:
      return SlowWatchers(action);
    case ActionKind::kEntryPause:
      entry.Pause();
      return Until(action.length, [&entry] { entry.Resume(); });
    case ActionKind::kCommitFails: {
      const CommitFault faults[] = {CommitFault::kNotDone, CommitFault::kDone, CommitFault::kFsync,
                                    CommitFault::kFsyncDone};
      disk_.next = faults[random.Below(4)];
      return;
    }
    case ActionKind::kSlowDisk:
      disk_.low = absl::Milliseconds(20);
      disk_.high = absl::Seconds(2);
      return Until(action.length, [this] {
        disk_.low = absl::Microseconds(300);
        disk_.high = absl::Milliseconds(4);
      });
    default:
      return entry.clock().JumpWall(DrawJump(random));
  }
}

// Another entry takes the leadership while the one that had it goes on, unaware.
void Simulation::TakeOver(const Action& action) {
  EntryHost& old = active();
  const size_t next = 1 - active_;
  if (!old.up() || entries_[next]->up()) return;
  disk_.leader = nullptr;
  active_ = next;
  network_.SetEntry(entries_[next].get());
  entries_[next]->Start();
  Until(action.length, [&old, this] {
    if (&old != &active()) old.Crash(false);
  });
}

// The entry's machine loses touch with the others and goes on with its copy of the store; another
// leads. Later the streams of some nodes break, and their new ones come to the old one: by a stale
// name, or because it is reached again.
void Simulation::CutOff(const Action& action) {
  EntryHost& old = active();
  if (!old.up() || old.core() == nullptr || entries_[1 - active_]->up()) return;
  SeededRandom random(action.value);
  copy_ = disk_;
  copy_.next = CommitFault::kNone;
  old.CutOff(copy_);
  cut_off_ = &old;
  TakeOver(action);
  for (int node = 0; node < schedule_.setting.nodes; ++node) {
    for (int time = 0; time < 2; ++time) {
      world_.After(Between(random, absl::Seconds(1), action.length), [this, node, &old] {
        if (mended_ || cut_off_ != &old || !old.is_cut_off()) return;
        strays_[node] = 2;
        network_.Reset(node);
      });
    }
  }
}

// Only nodes that know, and will not forget, who leads: what the others do is up to nobody.
EntryHost* Simulation::DetourOf(int node) {
  int& left = strays_[node];
  if (left == 0 || mended_ || cut_off_ == nullptr || !cut_off_->is_cut_off()) return nullptr;
  const auto& rows = agents_[static_cast<size_t>(node)]->journal().contents().node;
  const auto row = rows.find("node");
  appsupervisor::agent::v1::NodeRecord record;
  if (row != rows.end()) record.ParseFromString(row->second);
  const auto& obeyed = record.timelines();
  if (obeyed.size() < 2 || obeyed.rbegin()->epoch() <= cut_off_->epoch()) return nullptr;
  const bool obeyed_it = std::any_of(obeyed.begin(), obeyed.end(), [this](const auto& known) {
    return known.epoch() == cut_off_->epoch();
  });
  if (!obeyed_it) return nullptr;
  --left;
  return cut_off_;
}

void Simulation::SlowWatchers(const Action& action) {
  for (const auto& entry : entries_) {
    entry->SetWatchDelay(absl::Seconds(3), absl::Seconds(8));
  }
  Until(action.length, [this] {
    for (const auto& entry : entries_) entry->SetWatchDelay(kWatchLow, kWatchHigh);
  });
}

void Simulation::BreakNode(const Action& action) {
  SeededRandom random(action.value);
  AgentHost& node = Node(action);
  switch (action.kind) {
    case ActionKind::kAgentCrash:
      return StopAgentFor(action);
    case ActionKind::kAgentPause:
      node.Pause();
      return Until(action.length, [&node] { node.Resume(); });
    case ActionKind::kReboot:
      node.PowerOff();
      return Until(action.length, [&node] { node.PowerOn(); });
    case ActionKind::kKeeperCrash:
      node.CrashKeeper();
      return Until(action.length, [&node] { node.StartKeeper(); });
    case ActionKind::kKeeperUpgrade:
      return node.UpgradeKeeper();
    case ActionKind::kNodeWallJump:
      return node.clock().JumpWall(DrawJump(random));
    case ActionKind::kAppCrashes:
      return node.keeper().CrashOne(action.value);
    case ActionKind::kSlowSpawn:
      node.keeper().SetSpawnDelay(absl::Milliseconds(100), absl::Seconds(4));
      return Until(action.length, [&node] {
        node.keeper().SetSpawnDelay(absl::Milliseconds(1), absl::Milliseconds(20));
      });
    case ActionKind::kPortsBusy:
      for (int i = 0; i < 20; ++i) {
        node.busy_ports.insert(20'000 + static_cast<int32_t>(random.Below(40)));
      }
      return Until(action.length, [&node] { node.busy_ports.clear(); });
    case ActionKind::kFetchFails:
      node.fetches = false;
      return Until(action.length, [&node] { node.fetches = true; });
    case ActionKind::kGarbage:
      return SendGarbage(action);
    default:
      return BreakJournal(action);
  }
}

void Simulation::StopAgentFor(const Action& action) {
  AgentHost& node = Node(action);
  node.Crash();
  Until(action.length, [&node] {
    if (node.keeper().up()) node.Start();
  });
}

void Simulation::BreakJournal(const Action& action) {
  AgentHost& node = Node(action);
  switch (action.kind) {
    case ActionKind::kJournalFull:
      node.journal().SetFull(true);
      return Until(action.length, [&node] { node.journal().SetFull(false); });
    case ActionKind::kJournalSlow:
      node.journal().SetDelay(absl::Milliseconds(50), absl::Seconds(2));
      return Until(action.length, [&node] {
        node.journal().SetDelay(absl::Microseconds(200), absl::Milliseconds(4));
      });
    case ActionKind::kJournalTorn:
      StopAgentFor(action);
      return node.journal().TearNewest();
    default:
      StopAgentFor(action);
      return node.journal().Lose();
  }
}

// What an agent has no right to say, and what nobody can make sense of.
void Simulation::SendGarbage(const Action& action) {
  SeededRandom random(action.value);
  AgentHost& node = Node(action);
  if (!node.running() || node.link()->stream() == 0) return;
  auto message = std::make_shared<api::ConnectRequest>();
  if (Chance(random, 25)) {
    message->mutable_assignments_applied()->set_version(-1);
    message->mutable_assignments_applied()->add_refused()->set_uid("nobody");
  } else if (Chance(random, 20)) {
    message->mutable_heartbeat()->set_number(-5);
  } else {
    for (const auto& [name, record] : disk_.durable.instances) {
      if (record.instance().node() == node.id()) continue;
      api::InstanceStatus& status = *message->mutable_status()->add_instances();
      status.set_uid(record.instance().uid());
      status.set_attempt(1'000'000);
      status.set_sequence(1);
      status.set_state(api::INSTANCE_STATE_FAILED);
      status.set_message(kBadMark);
    }
    message->mutable_status()->add_instances()->set_uid("nobody");
  }
  network_.Send(node.link()->stream(), std::shared_ptr<const api::ConnectRequest>(message));
}

// The entry comes back with another catalog: an older one, or none.
void Simulation::ReplaceCatalog(const Action& action) {
  for (const auto& entry : entries_) entry->Crash(false);
  const bool empty = action.kind == ActionKind::kEmpty;
  disk_.durable = empty || !backup_ ? Durable() : *backup_;
  disk_.leader = nullptr;
  promises_.OnStoreReplaced();
  watchers_->StoreReplaced();
  EntryHost& entry = active();
  world_.After(absl::Seconds(1), [&entry] { entry.Start(); });
  if (!empty) return;
  operators_->SetUp(schedule_.setting.nodes, [this](int node, const std::string& uid) {
    AgentHost& agent = *agents_[static_cast<size_t>(node)];
    agent.node_uid = uid;
    if (agent.link() != nullptr) agent.link()->Enrolled();
  });
}

}  // namespace appsup::simulation
