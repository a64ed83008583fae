// Fences: trees that must not outlive a deadline, nor the keeper.
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/report.h"
#include "agent/keeper/supervisor.h"

namespace appsup::keeper {
namespace {

constexpr int kMaxFences = 1000;

}  // namespace

absl::Status Supervisor::CheckFenceOf(const pb::SpawnRequest& spawn) {
  if (!cgroups_.tree_kill()) {
    return absl::FailedPreconditionError(
        absl::StrCat("this keeper cannot keep a fence: ", cgroups_.missing()));
  }
  const int64_t left = FromMessage(spawn.fence()).stop_at() - BootNanos();
  if (left > 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the fence has run out: its stop would have begun ", -left / 1'000'000, " ms ago"));
}

void Supervisor::SetFences(uint64_t request, const pb::SetFencesRequest& fences) {
  if (fences.items_size() > kMaxFences) {
    return Fail(request, absl::InvalidArgumentError("too many fences in one request"));
  }
  for (const auto& item : fences.items()) {
    if (!item.has_fence()) continue;
    if (absl::Status s = CheckFence(item.fence()); !s.ok()) return Fail(request, s);
    if (!cgroups_.tree_kill()) {
      return Fail(request, absl::FailedPreconditionError(absl::StrCat(
                               "this keeper cannot keep a fence: ", cgroups_.missing())));
    }
  }
  std::vector<FenceMove> moves;
  for (const auto& item : fences.items()) SetFence(item, &moves);
  // Its failure is reported and mended by the warden; the deadlines here hold all the same.
  if (!moves.empty()) warden_.Move(moves).IgnoreError();
  Send(OkResponse(request));
}

void Supervisor::SetFence(const pb::SetFencesRequest::Item& item, std::vector<FenceMove>* moves) {
  Child* child = children_.Find(ProcessKey(item.id()));
  if (child == nullptr || child->state == ChildState::kExited) return;
  if (item.has_fence()) {
    if (!Extend(FromMessage(item.fence()), child->fence)) return;
  } else {
    if (!child->fence.set()) return;
    child->fence = {};
  }
  moves->emplace_back(child->group(), child->fence.deadline);
  ArmFence(*child);
  absl::Status saved = children_.SaveFence(*child);
  if (saved.ok()) return;
  Report("error", "fence-not-recorded",
         {{"instance", child->id.instance_uid()},
          {"process", child->key},
          {"error", std::string(saved.message())}});
}

void Supervisor::ArmFence(Child& child) {
  poller_.Cancel(std::exchange(child.fence_timer, {}));
  if (!child.fence.set()) return;
  child.fence_timer = poller_.At(child.fence.stop_at(), [this, &child] {
    child.fence_timer = {};
    Report("warning", "fence-reached",
           {{"instance", child.id.instance_uid()}, {"process", child.key}});
    child.exit.set_by_fence(true);
    BeginStop(child, child.stop_at_exit.signal(), child.fence.deadline);
  });
}

// Nothing of the tree is left, or nothing of it ever was.
void Supervisor::DropFence(Child& child) {
  poller_.Cancel(std::exchange(child.fence_timer, {}));
  if (!child.fence.set()) return;
  child.fence = {};
  warden_.Forget(child.group());
}

void Supervisor::StopFenced(bool kill) {
  children_.ForEachAfter("", [&](Child& child) {
    if (!child.fence.set()) return true;
    child.exit.set_by_fence(true);
    StopBySettings(child, kill);
    return true;
  });
}

bool Supervisor::holds_fenced() {
  bool holds = false;
  children_.ForEachAfter("", [&](Child& child) {
    holds = holds || child.fence.set();
    return !holds;
  });
  return holds;
}

// Fenced trees of a keeper that died. Its warden has killed them, unless that died too.
void Supervisor::KillOrphanedFenced(const std::vector<std::pair<int, pb::ProcessRecord>>& left) {
  for (const auto& [slot, record] : left) {
    if (!record.has_fence() || record.has_exited() || record.boot_id() != boot_id_) continue;
    Report("warning", "fenced-killed",
           {{"instance", record.id().instance_uid()}, {"process", ProcessKey(record.id())}});
    if (cgroups_.tree_kill()) cgroups_.Kill(ProcessKey(record.id(), '.'));
  }
}

}  // namespace appsup::keeper
