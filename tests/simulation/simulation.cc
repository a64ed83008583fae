#include "tests/simulation/simulation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/convergence.h"

namespace appsup::simulation {
namespace {

constexpr absl::Duration kSettleTime = absl::Seconds(30);   // Promise 4.
constexpr absl::Duration kLook = absl::Milliseconds(500);   // Between two looks at it.
constexpr absl::Duration kStaysSettled = absl::Seconds(2);  // And then it is watched so long.
constexpr int kMostAcceptances = 8;
constexpr int kLosses = 6;  // Percent of calls and answers.
constexpr absl::Duration kBackupPeriod = absl::Seconds(7);

// Within the drift that the design allows for: either way, or none.
double DrawRate(Random& random) {
  return 1.0 + static_cast<double>(Between(random, int64_t{-100}, int64_t{100})) / 10'000;
}

entry::CoreOptions MakeOptions(const Setting& setting) {
  entry::CoreOptions options;
  options.bookmark_period = absl::Seconds(8);
  if (setting.small_log) {
    options.max_change_log_entries = 150;
    options.change_feed_in_memory = 20;
  }
  if (setting.tiny_log) {
    options.max_change_log_entries = 20;
    options.change_feed_in_memory = 5;
  }
  return options;
}

}  // namespace

Simulation::Simulation(const RunOptions& options)
    : options_(options),
      schedule_(MakeSchedule(options.seed)),
      world_(options.seed, options.trace),
      network_(world_, schedule_.setting.nodes),
      scene_{world_, disk_, {}},
      promises_(scene_) {
  SeededRandom random = world_.Stream("clocks");
  for (int node = 0; node < schedule_.setting.nodes; ++node) {
    agents_.push_back(
        std::make_unique<AgentHost>(world_, network_, promises_, node, DrawRate(random)));
    scene_.agents.push_back(agents_.back().get());
  }
  for (const char* name : {"entry1", "entry2"}) {
    entries_.push_back(std::make_unique<EntryHost>(
        world_, network_, promises_, disk_, MakeOptions(schedule_.setting), name, DrawRate(random),
        [this](int node) { return agents_[static_cast<size_t>(node)]->node_uid; }));
  }
  network_.SetEntry(entries_[0].get());
  network_.SetDetour([this](int node) { return DetourOf(node); });
  operators_ = std::make_unique<Operators>(world_, disk_, promises_,
                                           [this]() -> EntryHost& { return active(); });
  watchers_ = std::make_unique<Watchers>(world_, disk_, *operators_);
}

// Agents end their streams with them, and the other ends of those are the entries'.
Simulation::~Simulation() { agents_.clear(); }

RunResult Simulation::Run() {
  Prepare();
  const absl::Duration begin = world_.now();
  for (const Action& action : schedule_.actions) {
    if (options_.keep && !options_.keep->contains(action.number)) continue;
    world_.At(begin + action.at, [this, action] { Perform(action); });
  }
  const absl::Duration end = begin + schedule_.setting.length;
  while (world_.Step(end)) {
  }
  if (!world_.violation()) {
    Mend();
    Settle();
  }
  RunResult result;
  result.violation = world_.violation();
  result.hash = world_.trace.hash();
  result.steps = world_.steps();
  result.time = world_.now();
  result.trace = world_.trace.lines();
  return result;
}

// An entry, and all nodes enrolled and connected.
void Simulation::Prepare() {
  entries_[0]->Start();
  operators_->SetUp(schedule_.setting.nodes, [this](int node, const std::string& uid) {
    AgentHost& agent = *agents_[static_cast<size_t>(node)];
    agent.node_uid = uid;
    agent.Start();
    ++enrolled_;
  });
  while (enrolled_ < schedule_.setting.nodes && world_.Step(absl::Seconds(60))) {
  }
  operators_->SetLosses(kLosses);
  TakeBackup();
}

void Simulation::TakeBackup() {
  if (mended_) return;
  backup_ = disk_.durable;
  world_.After(kBackupPeriod, [this] { TakeBackup(); });
}

void Simulation::Perform(const Action& action) {
  if (mended_) return;
  world_.Note("action", NameOf(action.kind), std::to_string(action.number),
              [&] { return Describe(action); });
  if (action.kind == ActionKind::kWatch) {
    watchers_->Begin(action.value);
  } else if (action.kind < ActionKind::kWatch || action.kind == ActionKind::kRead) {
    operators_->Do(action);
  } else if (action.kind < ActionKind::kEntryCrash) {
    BreakNetwork(action);
  } else if (action.kind < ActionKind::kAgentCrash) {
    BreakEntry(action);
  } else if (action.kind < ActionKind::kRestore) {
    BreakNode(action);
  } else {
    ReplaceCatalog(action);
  }
}

void Simulation::Until(absl::Duration length, std::function<void()> end) {
  world_.After(length, [this, end = std::move(end)] {
    if (!mended_) end();
  });
}

void Simulation::Mend() {
  mended_ = true;
  world_.Note("action", "mend");
  operators_->SetLosses(0);
  disk_.next = CommitFault::kNone;
  disk_.low = absl::Microseconds(300);
  disk_.high = absl::Milliseconds(4);
  EntryHost& entry = active();
  for (const auto& other : entries_) {
    if (other.get() != &entry) other->Crash(false);
    other->SetWatchDelay(kWatchLow, kWatchHigh);
  }
  network_.SetEntry(&entry);
  entry.Resume();
  entry.Start();
  for (const auto& agent : agents_) {
    network_.Heal(agent->node());
    agent->journal().SetFull(false);
    agent->journal().SetDelay(absl::Microseconds(200), absl::Milliseconds(4));
    agent->keeper().SetSpawnDelay(absl::Milliseconds(1), absl::Milliseconds(20));
    agent->fetches = true;
    agent->busy_ports.clear();
    agent->PowerOn();
    if (!agent->keeper().up()) agent->StartKeeper();
    agent->Resume();
    agent->Start();
  }
}

std::string Simulation::Unsettled() const {
  std::string why = FindUnsettled(scene_);
  if (why.empty() && operators_->open_calls() > 0) why = "a call has no answer";
  if (why.empty()) why = watchers_->Behind();
  return why;
}

// One that was accepted and is away may come back as one that nobody has looked at.
bool Simulation::HasGuardedNode() const {
  const auto& nodes = disk_.durable.nodes;
  return std::any_of(nodes.begin(), nodes.end(), [](const auto& row) {
    return row.second.node().status().state() == api::NODE_STATE_GUARDED &&
           !row.second.has_accepted_position();
  });
}

// It is looked at until it has stayed as it should be for a while.
void Simulation::Settle() {
  // Only when nobody has a call under way any more is it known what is desired.
  while (operators_->open_calls() > 0 && world_.Step(world_.now() + kSettleTime)) {
  }
  operators_->Settle(schedule_.setting.nodes);
  absl::Duration limit = world_.now() + kSettleTime;
  int accepted = 0;
  absl::Duration since = absl::InfiniteDuration();
  std::string why = "it was not looked at";
  for (;;) {
    const absl::Duration look = world_.now() + kLook;
    while (world_.Step(look)) {
    }
    if (world_.violation()) return;
    // Somebody has to look at a node that comes from another history; the time counts from then.
    if (HasGuardedNode() && operators_->open_calls() == 0 && accepted++ < kMostAcceptances) {
      operators_->AcceptCatalog();
      limit = world_.now() + kSettleTime;
    }
    why = Unsettled();
    if (!why.empty()) since = absl::InfiniteDuration();
    if (why.empty() && since == absl::InfiniteDuration()) since = world_.now();
    if (why.empty() && world_.now() >= since + kStaysSettled) return;
    // What is removed without being known may take the default time to stop.
    absl::Duration stops;
    for (const auto& agent : agents_) stops = std::max(stops, agent->keeper().StopsBy() + kLook);
    const absl::Duration own = LongestOwnTime(scene_);
    if (!why.empty() && world_.now() > std::max(limit + own, stops)) break;
  }
  world_.Fail(4, why, "to be as desired by now");
}

}  // namespace appsup::simulation
