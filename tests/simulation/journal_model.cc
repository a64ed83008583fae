#include "tests/simulation/journal_model.h"

#include "absl/strings/str_cat.h"

namespace appsup::simulation {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(1);
constexpr int kCommittedAtCrash = 50;  // Percent.

}  // namespace

JournalModel::JournalModel(World& world, Observer& observer, int node)
    : world_(world),
      observer_(observer),
      node_(node),
      random_(world.Stream(absl::StrCat("journal", node))) {}

void JournalModel::Append(agent::WriteJournal write) {
  for (agent::JournalPut& row : write.rows) {
    waiting_[{row.table, std::move(row.key)}] = std::move(row.value);
  }
  index_ = write.index;
  if (!busy_) Begin();
}

void JournalModel::Begin() {
  busy_ = true;
  writing_ = std::exchange(waiting_, {});
  writing_index_ = index_;
  world_.After(Between(random_, low_, high_), [this, life = life_] {
    if (life == life_) End();
  });
}

void JournalModel::End() {
  if (full_) {
    waiting_.merge(writing_);  // Newer rows win over those that could not be written.
    writing_.clear();
    callbacks_.stalled("no space left on device");
    world_.After(kRetry, [this, life = life_] {
      if (life == life_) Begin();
    });
    return;
  }
  Write(std::exchange(writing_, {}));
  busy_ = false;
  const uint64_t through = writing_index_;
  if (!waiting_.empty()) Begin();
  callbacks_.committed(through);
}

void JournalModel::Write(const Rows& rows) {
  std::vector<agent::JournalPut> puts;
  for (const auto& [key, value] : rows) puts.push_back({key.first, key.second, value});
  observer_.OnJournalWritten(node_, puts);
  undo_.clear();
  for (const auto& [key, value] : rows) {
    auto& table = TableOf(key.first);
    const auto old = table.find(key.second);
    undo_[key] = old == table.end() ? std::nullopt : std::optional(old->second);
    if (value) {
      table[key.second] = *value;
    } else {
      table.erase(key.second);
    }
  }
}

void JournalModel::Crash() {
  ++life_;
  if (busy_ && !writing_.empty() && !full_ && Chance(random_, kCommittedAtCrash)) Write(writing_);
  writing_.clear();
  waiting_.clear();
  busy_ = false;
  index_ = 0;
}

void JournalModel::SetDelay(absl::Duration low, absl::Duration high) {
  low_ = low;
  high_ = high;
}

void JournalModel::Lose() {
  contents_ = {};
  undo_.clear();
  observer_.OnJournalLost(node_);
}

void JournalModel::TearNewest() {
  const Rows undo = std::exchange(undo_, {});
  if (undo.empty()) return;
  std::vector<agent::JournalPut> puts;
  for (const auto& [key, value] : undo) {
    puts.push_back({key.first, key.second, value});
    if (value) {
      TableOf(key.first)[key.second] = *value;
    } else {
      TableOf(key.first).erase(key.second);
    }
  }
  observer_.OnJournalTorn(node_, puts);
}

std::map<std::string, std::string>& JournalModel::TableOf(agent::JournalTable table) {
  switch (table) {
    case agent::JournalTable::kNode:
      return contents_.node;
    case agent::JournalTable::kInstance:
      return contents_.instances;
    case agent::JournalTable::kPort:
      return contents_.ports;
  }
  return contents_.node;
}

}  // namespace appsup::simulation
