#include "tests/simulation/scenes.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/random.h"
#include "tests/simulation/world.h"

namespace appsup::simulation {
namespace {

using enum ActionKind;

constexpr int kWithScene = 50;  // Percent of runs.
constexpr absl::Duration kLease = absl::Seconds(10);

absl::Duration Milliseconds(Random& random, int64_t low, int64_t high) {
  return Between(random, absl::Milliseconds(low), absl::Milliseconds(high));
}

class Director {
 public:
  Director(Random& random, const Setting& setting) : random_(random), setting_(setting) {
    node_ = static_cast<int>(random.Below(static_cast<uint64_t>(setting.nodes)));
    begin_ = Milliseconds(random, 500, 4'000);
  }

  std::vector<Action> Take() { return std::move(actions_); }

  // A heartbeat's grant comes late, and then nothing for long. 3.
  void LateGrant() {
    Add(0, kCreateFenced);
    const int64_t held = Pick(4'000, 8'500);
    Add(5'000, kPartitionDown, absl::Milliseconds(held));
    Add(5'000 + held + 3, kPartition, absl::Seconds(19));
  }

  // The agent is away for about a lease; when it is back its journal is slow. 3.
  void BriefLoss() {
    Add(0, kCreateFenced);
    const absl::Duration away = kLease + Milliseconds(random_, -2'600, 1'100);
    Add(5'000, Chance(random_, 60) ? kAgentCrash : kAgentPause, away);
    const int64_t back = 5'000 + absl::ToInt64Milliseconds(away);
    Add(back - 50, kJournalSlow, absl::Seconds(6));
    if (Chance(random_, 40)) Add(back + 1'500, kPartition, absl::Seconds(15));
  }

  // A fence is asked for when the node cannot hear it. 3.
  void LateFence() {
    Add(0, kCreateLoose);
    Add(5'000, kPartition, absl::Seconds(Pick(16, 26)));
    Add(5'000 + Pick(500, 8'000), kFence);
    if (Chance(random_, 40)) Add(3'000, kFence);
  }

  // Nothing is fenced, and the node is gone. 3, 7.
  void LooseLoss() {
    Add(0, Chance(random_, 60) ? kCreateLoose : kCreateSetup);
    Add(Pick(1'500, 5'000), kPartition, absl::Seconds(Pick(15, 24)));
  }

  // A setup ends while nobody watches, or another is asked for while it runs. 7.
  void SetupUnwatched() {
    Add(0, kCreateSetup);
    for (int64_t at = 0; at < 12'000; at += 4'000) {
      const int64_t due = at + Pick(800, 3'000);
      Add(due, kKeeperCrash, Milliseconds(random_, 100, 4'000));
      Add(due + Pick(0, 20), kAgentCrash, Milliseconds(random_, 200, 4'500));
      node_ = (node_ + 1) % setting_.nodes;
      if (at > 0 || Chance(random_, 50)) Add(at + 3'500, kChangeSetup);
    }
  }
  void SetupOverlap() {
    Add(0, kCreateSetup);
    for (int64_t at = 0; at < 9'000; at += 3'000) Add(at + Pick(600, 2'900), kChangeSetup);
  }

  // An entry that was cut off with a copy of its store is found by nodes that know its
  // successor. 5.
  void CutOff() {
    Add(0, kCreateLoose);
    Add(Pick(2'000, 4'000), kEntryCutOff, absl::Seconds(Pick(8, 14)));
    Add(Pick(4'000, 12'000), kScale);
  }

  // Statements get lost, and complete ones come in parts. Link rule 2: 4, 10, 11.
  void Gaps() {
    Add(0, Chance(random_, 50) ? kCreateFenced : kCreateLoose);
    AddForOther(200, kCreateLoose);
    for (int node = 0; node < setting_.nodes; ++node) {
      Add(500, kSmallParts, absl::Seconds(15));
      node_ = (node_ + 1) % setting_.nodes;
    }
    for (int64_t at = 1'000; at < 13'000; at += 2'000) {
      const int64_t due = at + Pick(0, 1'500);
      Add(due, kGap, absl::Seconds(5));
      Add(due + 30, Chance(random_, 50) ? kRestart : kScale);
      Add(due + Pick(100, 2'000), Chance(random_, 50) ? kRestart : kScale);
      node_ = (node_ + 1) % setting_.nodes;
    }
    // What was lost of one app is not said again because of it; another's shows the gap.
    for (int node = 0; node < setting_.nodes; ++node) {
      Add(15'000, kGap, absl::Seconds(5));
      node_ = (node_ + 1) % setting_.nodes;
    }
    Add(15'010, kScale);
    AddForOther(17'000, kRestart);
  }

  // An agent dies between a start and its answer. 2, 4.
  void SlowStart() {
    for (int node = 0; node < setting_.nodes; ++node) {
      node_ = node;
      Add(0, kSlowSpawn, absl::Seconds(14));
    }
    Add(100, kCreateLoose);
    for (int64_t at = 0; at < 12'000; at += 3'000) {
      Add(at + 400, kRestart);
      node_ = (node_ + 1) % setting_.nodes;
      Add(at + Pick(600, 3'400), kAgentCrash, Milliseconds(random_, 20, 700));
    }
  }

  // Watchers are slow when the entry trims its change log, once a minute. 8.
  void SlowWatchers() {
    begin_ = absl::ZeroDuration();
    for (int watcher = 0; watcher < 3; ++watcher) Add(1'000 + watcher * 700, kWatch);
    Add(3'000, kCreateLoose);
    Add(53'500, kSlowWatchers, absl::Seconds(8));
    for (int64_t at = 51'000; at < 61'000; at += 300) {
      Add(at + Pick(0, 300), Chance(random_, 50) ? kScale : kRestart);
    }
  }

  // A node is emptied while there is work for it. 4.
  void BusyDrain() {
    Add(0, kCreateLoose);
    Add(Pick(1'500, 3'000), kDrain);
    for (int64_t at = 3'000; at < 9'000; at += 2'000) {
      Add(at + Pick(0, 2'000), Chance(random_, 70) ? kScale : kRestart);
    }
    if (Chance(random_, 70)) Add(Pick(9'000, 12'000), kResume);
  }

 private:
  int64_t Pick(int64_t low, int64_t high) { return Between(random_, low, high); }

  // `at`: milliseconds after the scene's begin.
  void Add(int64_t at, ActionKind kind, absl::Duration length = absl::ZeroDuration()) {
    Action action;
    action.at = begin_ + absl::Milliseconds(at);
    action.kind = kind;
    action.node = node_;
    action.app = setting_.apps;
    action.length = length;
    action.value = random_.Next();
    actions_.push_back(action);
  }

  // For a second app of the scene.
  void AddForOther(int64_t at, ActionKind kind) {
    Add(at, kind);
    ++actions_.back().app;
  }

  Random& random_;
  const Setting& setting_;
  int node_ = 0;
  absl::Duration begin_;
  std::vector<Action> actions_;
};

struct Scene {
  void (Director::*play)();
  int nodes;            // It needs so many,
  absl::Duration time;  // and so long a run.
};

const Scene kScenes[] = {
    {&Director::LateGrant, 2, absl::Seconds(32)},
    {&Director::BriefLoss, 2, absl::Seconds(28)},
    {&Director::LateFence, 2, absl::Seconds(32)},
    {&Director::LooseLoss, 2, absl::Seconds(28)},
    {&Director::SetupUnwatched, 1, absl::Seconds(24)},
    {&Director::SetupOverlap, 1, absl::Seconds(20)},
    {&Director::CutOff, 1, absl::Seconds(24)},
    {&Director::Gaps, 1, absl::Seconds(24)},
    {&Director::SlowStart, 1, absl::Seconds(22)},
    {&Director::BusyDrain, 2, absl::Seconds(20)},
    {&Director::SlowWatchers, 1, absl::Seconds(65)},
};

}  // namespace

std::vector<Action> MakeScene(uint64_t seed, Setting& setting) {
  SeededRandom random(seed ^ 0xac7ac7ac7ac7u);
  if (!Chance(random, kWithScene)) return {};
  const size_t last = std::size(kScenes) - 1;
  // The last one is for logs that are trimmed early, and there the most telling.
  const bool trimmed = setting.small_log && Chance(random, 60);
  const Scene& scene = kScenes[trimmed ? last : random.Below(last)];
  setting.tiny_log = trimmed;
  if (trimmed) setting.length = std::max(setting.length, scene.time);
  if (setting.nodes < scene.nodes || setting.length < scene.time) return {};
  Director director(random, setting);
  (director.*scene.play)();
  return director.Take();
}

}  // namespace appsup::simulation
