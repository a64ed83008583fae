#include "tests/simulation/keeper_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace appsup::simulation {
namespace {

constexpr int kSigkill = 9;
constexpr int kNotStartedCode = 127;
constexpr absl::Duration kCleanUp = absl::Milliseconds(3);  // From a kill to an empty tree.

absl::Duration SpreadLife(Random& random, absl::Duration life) {
  return Between(random, life / 2, life * 1.5);
}

}  // namespace

KeeperModel::KeeperModel(World& world, Observer& observer, MachineClock& clock, int node)
    : world_(world),
      observer_(observer),
      clock_(clock),
      node_(node),
      random_(world.Stream(absl::StrCat("keeper", node))) {}

KeeperModel::Child* KeeperModel::Find(const agent::ProcessId& id) {
  const auto it = children_.find(id);
  return it == children_.end() ? nullptr : &it->second;
}

void KeeperModel::SetOnExited(OnExited on_exited) {
  on_exited_ = std::move(on_exited);
  if (on_exited_) return;
  for (auto& [id, child] : children_) child.waiting.clear();
}

void KeeperModel::Later(const agent::ProcessId& id, absl::Duration after,
                        void (KeeperModel::*what)(Child&)) {
  const Child* child = Find(id);
  const int64_t pid = child->tree.pid;
  world_.After(after, [this, id, pid, what] {
    Child* found = Find(id);
    if (found != nullptr && found->tree.pid == pid) (this->*what)(*found);
  });
}

void KeeperModel::Spawn(const agent::StartRequest& request, Answer answer) {
  if (Child* known = Find(request.id)) {
    if (known->state == State::kStarting) {
      known->waiting.push_back(std::move(answer));
    } else {
      answer(agent::Started{known->tree.pid, known->tree.start_boot});
    }
    return;
  }
  for (const auto& [id, child] : children_) {
    if (id.instance_uid == request.id.instance_uid && id.kind == request.id.kind &&
        child.state != State::kEnded) {
      return answer(absl::FailedPreconditionError(
          absl::StrCat("attempt ", id.attempt, " still runs; stop it first")));
    }
  }
  const absl::Duration boot = clock_.Now(world_.now()).boot;
  if (request.fence && request.fence->deadline - request.fence->stop_before <= boot) {
    return answer(absl::FailedPreconditionError("the fence's deadline has passed"));
  }
  Child& child = children_[request.id];
  child.tree = MakeTree(request, node_);
  child.tree.pid = ++last_pid_;
  child.tree.start_boot = boot;
  child.fence = request.fence;
  child.stop_signal = request.stop_signal;
  child.waiting.push_back(std::move(answer));
  Later(request.id, Between(random_, spawn_low_, spawn_high_), &KeeperModel::Began);
}

void KeeperModel::Began(Child& child) {
  if (child.state != State::kStarting || !up_) return;
  std::vector<Answer> waiting = std::exchange(child.waiting, {});
  if (Chance(random_, child.tree.plan.unstartable)) {
    for (Answer& answer : waiting) answer(absl::NotFoundError("there is no such command"));
    return NotStarted(child, !waiting.empty() && !child.listed);
  }
  child.state = State::kRunning;
  child.tree.start = world_.now();
  observer_.OnTreeStarted(child.tree);
  if (child.tree.plan.life > absl::ZeroDuration()) {
    Later(child.tree.id, SpreadLife(random_, child.tree.plan.life), &KeeperModel::LivedOut);
  }
  PlanFence(child);
  for (Answer& answer : waiting) answer(agent::Started{child.tree.pid, child.tree.start_boot});
}

// Those who know of it and got no answer hear that it has ended.
void KeeperModel::NotStarted(Child& child, bool answered) {
  if (answered) {
    children_.erase(agent::ProcessId(child.tree.id));
    return;
  }
  child.state = State::kEnded;
  child.exit.code = kNotStartedCode;
  child.exit.time = clock_.Now(world_.now()).wall;
  if (on_exited_) on_exited_(child.tree.id, child.exit);
}

void KeeperModel::LivedOut(Child& child) {
  if (child.state == State::kRunning) EndMain(child, child.tree.plan.code, 0);
}

void KeeperModel::Stop(const agent::ProcessId& id, int signal, absl::Duration grace) {
  Child* child = Find(id);
  if (child == nullptr || child->state == State::kEnded) return;
  BeginStop(*child, signal, grace);
}

void KeeperModel::BeginStop(Child& child, int signal, absl::Duration grace) {
  if (signal == kSigkill || grace <= absl::ZeroDuration()) {
    child.kill_at = world_.now();
  } else {
    child.kill_at = std::min(child.kill_at, world_.now() + grace);
  }
  const absl::Duration left = child.kill_at - world_.now();
  if (!std::exchange(child.stopping, true) && !child.tree.plan.stubborn &&
      left > absl::ZeroDuration()) {
    Later(child.tree.id, child.tree.plan.stop, &KeeperModel::ObeysSignal);
  }
  Later(child.tree.id, left + kCleanUp, &KeeperModel::StopTimeIsOver);
}

void KeeperModel::ObeysSignal(Child& child) {
  if (child.state == State::kRunning) EndMain(child, 0, child.stop_signal);
}

// The keeper that was to kill it may be gone.
void KeeperModel::StopTimeIsOver(Child& child) {
  if (child.state == State::kEnded || child.kill_at > world_.now()) return;
  if (child.state == State::kStarting) {
    Later(child.tree.id, kCleanUp, &KeeperModel::StopTimeIsOver);
    return;
  }
  if (child.state == State::kRunning) {
    child.exit.signal = kSigkill;
    child.exit.stopped = true;
    child.exit.by_fence = child.fence_stops;
    child.exit.time = clock_.Now(world_.now()).wall;
  }
  EndTree(child);
}

void KeeperModel::EndMain(Child& child, int code, int signal) {
  child.exit.code = code;
  child.exit.signal = signal;
  child.exit.stopped = child.stopping;
  child.exit.by_fence = child.fence_stops;
  child.exit.time = clock_.Now(world_.now()).wall;
  child.state = State::kMainEnded;
  if (child.tree.plan.lingering == absl::ZeroDuration()) return EndTree(child);
  Later(child.tree.id, up_ ? kCleanUp : child.tree.plan.lingering, &KeeperModel::LingeringEnds);
}

void KeeperModel::LingeringEnds(Child& child) {
  if (child.state == State::kMainEnded) EndTree(child);
}

void KeeperModel::EndTree(Child& child) {
  child.state = State::kEnded;
  if (child.inherited || !up_) {
    child.exit.unknown = true;
    child.exit.code = child.exit.signal = 0;
  }
  observer_.OnTreeEnded(child.tree, child.exit);
  if (up_ && on_exited_) on_exited_(child.tree.id, child.exit);
}

void KeeperModel::Acknowledge(const agent::ProcessId& id) {
  const Child* child = Find(id);
  if (child != nullptr && child->state == State::kEnded) children_.erase(id);
}

void KeeperModel::SetFences(const std::vector<agent::FenceChange>& changes) {
  for (const agent::FenceChange& change : changes) {
    Child* child = Find(change.id);
    if (child == nullptr || child->state == State::kEnded || child->fence_stops) continue;
    if (change.fence && child->fence && change.fence->deadline < child->fence->deadline) continue;
    child->fence = change.fence;
    child->tree.fenced = change.fence.has_value();
    if (child->state == State::kRunning) {
      observer_.OnTreeFenced(child->tree);
      PlanFence(*child);
    }
  }
}

void KeeperModel::PlanFence(Child& child) {
  if (!child.fence) return;
  const absl::Duration stop = child.fence->deadline - child.fence->stop_before;
  Later(child.tree.id, clock_.WhenBootIs(stop) - world_.now(), &KeeperModel::FenceIsDue);
}

// Comes once for each deadline that was set; those that were put off meanwhile mean nothing.
void KeeperModel::FenceIsDue(Child& child) {
  if (!child.fence || child.fence_stops || child.state == State::kEnded || !up_) return;
  if (clock_.Now(world_.now()).boot < child.fence->deadline - child.fence->stop_before) return;
  child.fence_stops = true;
  world_.Note("keeper", "fence", child.tree.id.instance_uid);
  const absl::Duration deadline = clock_.WhenBootIs(child.fence->deadline);
  BeginStop(child, child.stop_signal, std::max(absl::ZeroDuration(), deadline - world_.now()));
}

agent::Inventory KeeperModel::List() {
  agent::Inventory inventory;
  for (auto& [id, child] : children_) {
    if (child.state == State::kEnded) {
      inventory.exits.push_back({id, child.exit});
    } else {
      child.listed = child.state == State::kStarting;
      inventory.running.push_back({id,
                                   child.tree.app_uid,
                                   {child.tree.pid, child.tree.start_boot},
                                   child.fence.has_value()});
    }
  }
  return inventory;
}

void KeeperModel::Crash() {
  if (!up_) return;
  up_ = false;
  on_exited_ = nullptr;
  for (auto& [id, child] : children_) {
    child.waiting.clear();
    child.kill_at = absl::InfiniteDuration();
    child.stopping = false;
    if (child.state == State::kStarting) {
      // It waits at the gate, and ends with the keeper.
      child.state = State::kEnded;
      child.exit.unknown = true;
      child.exit.time = clock_.Now(world_.now()).wall;
    } else if (child.fence && child.state != State::kEnded) {
      child.exit.by_fence = true;
      EndTree(child);
    }
  }
}

void KeeperModel::Start() {
  if (up_) return;
  up_ = true;
  ++life_;
  for (auto& [id, child] : children_) {
    if (child.state == State::kEnded) continue;
    child.inherited = true;
    if (child.state == State::kMainEnded) EndTree(child);
  }
}

void KeeperModel::PowerOff() {
  up_ = false;
  on_exited_ = nullptr;
  for (auto& [id, child] : children_) {
    child.waiting.clear();
    if (child.state == State::kRunning || child.state == State::kMainEnded) EndTree(child);
  }
  children_.clear();
}

void KeeperModel::SetSpawnDelay(absl::Duration low, absl::Duration high) {
  spawn_low_ = low;
  spawn_high_ = high;
}

void KeeperModel::CrashOne(uint64_t choice) {
  std::vector<Child*> running;
  for (auto& [id, child] : children_) {
    if (child.state == State::kRunning) running.push_back(&child);
  }
  if (running.empty()) return;
  EndMain(*running[choice % running.size()], 1, 0);
}

std::vector<const Tree*> KeeperModel::Trees() const {
  std::vector<const Tree*> trees;
  for (const auto& [id, child] : children_) {
    if (child.state == State::kRunning || child.state == State::kMainEnded) {
      trees.push_back(&child.tree);
    }
  }
  return trees;
}

const Tree* KeeperModel::FindRunning(const std::string& uid, int64_t attempt) const {
  const auto it = children_.find({uid, agent::ProcessKind::kMain, attempt});
  return it == children_.end() || it->second.state != State::kRunning ? nullptr : &it->second.tree;
}

absl::Duration KeeperModel::StopsBy() const {
  absl::Duration last;
  for (const auto& [id, child] : children_) {
    const bool stops = child.state != State::kEnded && child.kill_at != absl::InfiniteDuration();
    if (stops) last = std::max(last, child.kill_at);
  }
  return last;
}

size_t KeeperModel::unacknowledged() const {
  return static_cast<size_t>(std::count_if(children_.begin(), children_.end(), [](const auto& it) {
    return it.second.state == State::kEnded;
  }));
}

}  // namespace appsup::simulation
