#include "tests/simulation/schedule.h"

#include <algorithm>
#include <iterator>

#include "common/random.h"
#include "fmt/format.h"
#include "tests/simulation/scenes.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {
namespace {

struct KindRow {
  ActionKind kind;
  const char* name;
  int weight;
  absl::Duration longest;  // Of those that end by themselves.
};

using enum ActionKind;

// How often each comes, compared with the others.
const KindRow kKinds[] = {
    {kCreate, "create", 30, {}},
    {kUpdate, "update", 60, {}},
    {kUpdateBadly, "update-badly", 12, {}},
    {kScale, "scale", 40, {}},
    {kStop, "stop", 25, {}},
    {kStart, "start", 35, {}},
    {kRestart, "restart", 30, {}},
    {kDelete, "delete", 15, {}},
    {kPurge, "purge", 10, {}},
    {kUndelete, "undelete", 15, {}},
    {kRollback, "rollback", 15, {}},
    {kCancel, "cancel", 15, {}},
    {kRetrySetup, "retry-setup", 20, {}},
    {kAcceptSetup, "accept-setup", 6, {}},
    {kDrain, "drain", 20, {}},
    {kResume, "resume", 25, {}},
    {kWatch, "watch", 20, {}},
    {kRead, "read", 40, {}},
    {kPartition, "partition", 30, absl::Seconds(40)},
    {kPartitionUp, "partition-up", 15, absl::Seconds(30)},
    {kPartitionDown, "partition-down", 15, absl::Seconds(30)},
    {kHalfOpen, "half-open", 20, {}},
    {kSlowNetwork, "slow-network", 15, absl::Seconds(15)},
    {kRefuse, "refuse", 8, {}},
    {kEntryCrash, "entry-crash", 35, absl::Seconds(8)},
    {kEntryPower, "entry-power", 10, absl::Seconds(30)},
    {kEntryTakeover, "entry-takeover", 8, absl::Seconds(10)},
    {kCommitFails, "commit-fails", 25, {}},
    {kSlowDisk, "slow-disk", 12, absl::Seconds(8)},
    {kEntryWallJump, "entry-wall-jump", 5, {}},
    {kAgentCrash, "agent-crash", 45, absl::Seconds(10)},
    {kAgentPause, "agent-pause", 20, absl::Seconds(25)},
    {kReboot, "reboot", 20, absl::Seconds(20)},
    {kKeeperCrash, "keeper-crash", 25, absl::Seconds(6)},
    {kKeeperUpgrade, "keeper-upgrade", 12, {}},
    {kJournalFull, "journal-full", 12, absl::Seconds(12)},
    {kJournalSlow, "journal-slow", 12, absl::Seconds(10)},
    {kJournalTorn, "journal-torn", 15, absl::Seconds(3)},
    {kJournalLost, "journal-lost", 8, absl::Seconds(3)},
    {kNodeWallJump, "node-wall-jump", 10, {}},
    {kAppCrashes, "app-crashes", 35, {}},
    {kSlowSpawn, "slow-spawn", 10, absl::Seconds(10)},
    {kPortsBusy, "ports-busy", 8, absl::Seconds(10)},
    {kFetchFails, "fetch-fails", 8, absl::Seconds(15)},
    {kGarbage, "garbage", 10, {}},
    {kRestore, "restore", 0, {}},
    // Only in scenes.
    {kCreateFenced, "create-fenced", 0, {}},
    {kCreateLoose, "create-loose", 0, {}},
    {kFence, "fence", 0, {}},
    {kCreateSetup, "create-setup", 0, {}},
    {kChangeSetup, "change-setup", 0, {}},
    {kGap, "gap", 0, {}},
    {kSmallParts, "small-parts", 0, {}},
    {kEntryCutOff, "entry-cut-off", 0, {}},
    {kSlowWatchers, "slow-watchers", 0, {}},
    {kEmpty, "empty", 0, {}},
    // Only beside the others.
    {kAcceptCatalog, "accept-catalog", 0, {}},
    {kReleaseBrake, "release-brake", 0, {}},
    {kReset, "reset", 0, {}},
    {kEntryPause, "entry-pause", 0, absl::Seconds(25)},
};

constexpr ActionKind kBeside[] = {kAcceptCatalog, kReleaseBrake, kReset, kEntryPause};
constexpr int kWithBeside = 40;  // Percent of runs.

const KindRow& RowOf(ActionKind kind) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [kind](const KindRow& row) { return row.kind == kind; });
}

const KindRow& Draw(Random& random) {
  int total = 0;
  for (const KindRow& row : kKinds) total += row.weight;
  int at = static_cast<int>(random.Below(static_cast<uint64_t>(total)));
  for (const KindRow& row : kKinds) {
    at -= row.weight;
    if (at < 0) return row;
  }
  return kKinds[0];
}

Action MakeAction(Random& random, const Setting& setting, const KindRow& row, absl::Duration at) {
  Action action;
  action.at = at;
  action.kind = row.kind;
  action.node = static_cast<int>(random.Below(static_cast<uint64_t>(setting.nodes)));
  action.app = static_cast<int>(random.Below(static_cast<uint64_t>(setting.apps)));
  if (row.longest > absl::ZeroDuration()) {
    // Short ones are as telling as long ones.
    const absl::Duration longest = Chance(random, 50) ? row.longest : row.longest / 8;
    action.length = Between(random, absl::Milliseconds(50), longest);
  }
  action.value = random.Next();
  return action;
}

void SortByTime(std::vector<Action>& actions) {
  std::stable_sort(actions.begin(), actions.end(),
                   [](const Action& a, const Action& b) { return a.at < b.at; });
}

std::vector<Action> MakeBeside(uint64_t seed, const Setting& setting) {
  SeededRandom random(seed ^ 0xbe51debe51deu);
  std::vector<Action> actions;
  if (!Chance(random, kWithBeside)) return actions;
  const int64_t count = Between(random, int64_t{1}, int64_t{5});
  for (int64_t i = 0; i < count; ++i) {
    const ActionKind kind = kBeside[random.Below(std::size(kBeside))];
    actions.push_back(MakeAction(random, setting, RowOf(kind),
                                 Between(random, absl::Milliseconds(500), setting.length)));
  }
  return actions;
}

void NumberFrom(size_t first, std::vector<Action>& actions) {
  SortByTime(actions);
  for (Action& action : actions) action.number = static_cast<int>(first++);
}

void AddTo(Schedule& schedule, std::vector<Action> more) {
  NumberFrom(schedule.actions.size(), more);
  schedule.actions.insert(schedule.actions.end(), more.begin(), more.end());
}

}  // namespace

Schedule MakeSchedule(uint64_t seed) {
  SeededRandom random(seed ^ 0x5eed5eed5eedu);
  Schedule schedule;
  Setting& setting = schedule.setting;
  setting.nodes = static_cast<int>(Between(random, int64_t{1}, int64_t{4}));
  setting.apps = static_cast<int>(Between(random, int64_t{1}, int64_t{4}));
  setting.length = Between(random, absl::Seconds(15), absl::Seconds(70));
  setting.small_log = Chance(random, 20);
  for (int app = 0; app < setting.apps; ++app) {
    Action create = MakeAction(random, setting, RowOf(kCreate),
                               Between(random, absl::ZeroDuration(), absl::Seconds(3)));
    create.app = app;
    schedule.actions.push_back(create);
  }
  const int64_t count = Between(random, int64_t{4}, int64_t{36});
  for (int64_t i = 0; i < count; ++i) {
    schedule.actions.push_back(MakeAction(
        random, setting, Draw(random), Between(random, absl::Milliseconds(500), setting.length)));
  }
  if (Chance(random, 12)) {
    const KindRow& row = RowOf(Chance(random, 70) ? kRestore : kEmpty);
    schedule.actions.push_back(
        MakeAction(random, setting, row, Between(random, setting.length / 3, setting.length)));
  }
  NumberFrom(0, schedule.actions);
  // After the others, whose numbers and draws stay what they are without it.
  AddTo(schedule, MakeScene(seed, setting));
  AddTo(schedule, MakeBeside(seed, setting));
  SortByTime(schedule.actions);
  return schedule;
}

const char* NameOf(ActionKind kind) { return RowOf(kind).name; }

std::string Describe(const Action& action) {
  std::string text = fmt::format("{} at {} {} n{} a{}", action.number, FormatTime(action.at),
                                 NameOf(action.kind), action.node + 1, action.app + 1);
  if (action.length > absl::ZeroDuration()) {
    text += " for " + absl::FormatDuration(absl::Trunc(action.length, absl::Milliseconds(1)));
  }
  return text;
}

}  // namespace appsup::simulation
