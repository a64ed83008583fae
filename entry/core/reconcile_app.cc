#include <map>
#include <optional>
#include <utility>

#include "common/status.h"
#include "entry/core/app_outcome.h"
#include "entry/core/app_status.h"
#include "entry/core/instance_changes.h"
#include "entry/core/instance_facts.h"
#include "entry/core/node_guard.h"
#include "entry/core/node_loss.h"
#include "entry/core/operation.h"
#include "entry/core/proto_time.h"
#include "entry/core/reconcile.h"
#include "entry/core/rollout.h"
#include "entry/core/serialize.h"
#include "entry/core/setup.h"
#include "entry/core/statement.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

// One look at one app: what planners find is carried out here.
class AppReconciler {
 public:
  AppReconciler(const Ground& ground, Random& random, const std::string& name)
      : ground_(ground), catalog_(ground.catalog), random_(random), name_(name) {}

  absl::Duration Run() {
    ClearGone(ground_, name_);
    UpdateFences(ground_, name_);
    losses_ = JudgeLosses(ground_, name_);
    if (losses_.changed) progressed_ = true;
    NoteNewTarget();
    SettleAttempts();
    AppView view = ViewApp(catalog_, name_);
    RolloutPlan plan = MakePlan(view);
    const bool acted = plan.acts();
    std::map<std::string, std::string> stuck;
    for (const auto& [record, why] : plan.stuck) stuck[record->instance().name()] = why;
    Apply(view, plan);
    TrySetup(view, plan);
    FollowGeneration(view);
    NoteStuck(ground_, name_, stuck);
    ground_.dirty.SetWaitsForRoom(name_, !plan.unplaced.empty() || !stuck.empty());
    if (acted) progressed_ = true;
    // The view points at what it saw, but what it saw may have its place elsewhere now.
    if (changed_) view = ViewApp(catalog_, name_);
    if (const std::string guarded = DescribeGuarded(catalog_, view); !guarded.empty()) {
      plan.note += (plan.note.empty() ? "" : " ") + guarded;
    }
    return Conclude(view, plan);
  }

 private:
  const rec::AppRecord& app() const { return *catalog_.apps.Find(name_); }

  const api::AppStatus* FormerStatus() const { return catalog_.app_statuses.Find(name_); }

  // A new target begins a rollout, whoever set it.
  void NoteNewTarget() {
    const api::AppStatus* former = FormerStatus();
    if (former == nullptr || former->target_revision() != app().target_revision()) {
      progressed_ = true;
    }
  }

  void SettleAttempts() {
    if (app().setups().empty()) return;
    const AppView view = ViewApp(catalog_, name_);
    for (auto& [key, setup] : SettleSetups(view, SilentTooLong(view), ground_.now.wall)) {
      (*catalog_.apps.Mutate(name_).mutable_setups())[key] = std::move(setup);
      progressed_ = true;
    }
    // An attempt is over: whatever happens to the agent's journal, it does not run again.
    for (const rec::InstanceRecord* record : EndedSetups(view)) {
      SetDesired(ground_, record->instance().name(), api::DESIRED_STATE_STOP);
    }
  }

  RolloutPlan MakePlan(const AppView& view) {
    if (view.deleted) return PlanRemoval(view);
    if (!view.runs) return PlanStop(view);
    placer_.emplace(view.target_spec(), view.spec().placement(), view.fenced,
                    ground_.options.default_memory_reserve);
    return PlanRollout(view, IsSetUp(view),
                       [&](const PlacementRequest& request) { return Place(view, request); });
  }

  PlacementAnswer Place(const AppView& view, const PlacementRequest& request) {
    if (!placer_->Knows(request.environment)) {
      LoadEnvironment(ground_, name_, request.environment, *placer_);
      for (const SlotView& slot : view.slots) {
        if (slot.environment != request.environment || slot.target == nullptr) continue;
        placer_->CountReplica(slot.environment, slot.target->instance().node());
      }
    }
    return placer_->Place(request);
  }

  void Apply(const AppView& view, const RolloutPlan& plan) {
    if (plan.acts()) changed_ = true;
    for (const rec::InstanceRecord* record : plan.remove) {
      SetDesired(ground_, record->instance().name(), api::DESIRED_STATE_REMOVE,
                 view.deleted && view.record->purge());
    }
    if (view.deleted && view.record->purge()) PurgeLeaving(view);
    for (const rec::InstanceRecord* record : plan.stop) {
      SetDesired(ground_, record->instance().name(), api::DESIRED_STATE_STOP);
    }
    for (const rec::InstanceRecord* record : plan.run) {
      SetDesired(ground_, record->instance().name(), api::DESIRED_STATE_RUN);
    }
    for (const rec::InstanceRecord* record : plan.restart) {
      const std::string& name = record->instance().name();
      catalog_.instances.Mutate(name).set_restart_nonce(view.spec().restart_nonce());
      Restate(catalog_, ground_.dirty, name);
    }
    for (const RolloutPlan::Create& create : plan.create) {
      CreateInstance(ground_, random_, view, view.slots[create.slot], create.node, false);
    }
    // Only now: the slot of a setup has an instance that marks where its data is.
    for (const rec::InstanceRecord* record : SpentSetups(catalog_, view)) {
      if (!view.deleted) {
        changed_ = true;
        SetDesired(ground_, record->instance().name(), api::DESIRED_STATE_REMOVE);
      }
    }
  }

  // Those that were leaving before the app was purged.
  void PurgeLeaving(const AppView& view) {
    changed_ = true;
    for (const auto* records : {&view.surplus, &view.setups}) {
      for (const rec::InstanceRecord* record : *records) {
        SetDesired(ground_, record->instance().name(), api::DESIRED_STATE_REMOVE, true);
      }
    }
  }

  // Where slot 0 will be.
  void TrySetup(const AppView& view, RolloutPlan& plan) {
    if (!plan.may_set_up || !MayTrySetup(view)) return;
    const SlotView& slot = view.slots.front();
    PlacementRequest request;
    request.environment = slot.environment;
    if (slot.newest != nullptr) request.former_node = slot.newest->instance().node();
    request.bound = slot.bound;
    PlacementAnswer answer = Place(view, request);
    if (auto* unplaced = std::get_if<Unplaced>(&answer)) {
      plan.unplaced[0] = std::move(*unplaced);
      return;
    }
    changed_ = true;
    for (const rec::InstanceRecord* record : view.setups) {
      SetDesired(ground_, record->instance().name(), api::DESIRED_STATE_REMOVE);
    }
    const std::string instance =
        CreateInstance(ground_, random_, view, slot, std::get<std::string>(answer), true);
    rec::SetupRecord& setup =
        (*catalog_.apps.Mutate(name_).mutable_setups())[view.target->revision().setup_key()];
    setup.set_state(api::SETUP_STATE_RUNNING);
    setup.set_attempts(setup.attempts() + 1);
    setup.set_instance_uid(catalog_.instances.Find(instance)->instance().uid());
    setup.clear_message();
    setup.clear_end_time();
    progressed_ = true;
  }

  // What runs on is told the app's new generation, so that it can be seen to follow it.
  void FollowGeneration(const AppView& view) {
    if (!view.runs) return;
    const int64_t generation = view.record->app().generation();
    for (const SlotView& slot : view.slots) {
      if (slot.target == nullptr || slot.target->app_generation() == generation) continue;
      if (slot.target->instance().desired() != api::DESIRED_STATE_RUN) continue;
      const std::string& name = slot.target->instance().name();
      catalog_.instances.Mutate(name).set_app_generation(generation);
      Restate(catalog_, ground_.dirty, name);
    }
  }

  absl::Duration Conclude(const AppView& view, const RolloutPlan& plan) {
    const bool done = IsDone(view, plan);
    if (done && view.runs && !view.slots.empty()) NoteGood();
    api::AppStatus status = Compute(view, plan, "");
    if (FormerStatus() != nullptr && status.ready_replicas() > FormerStatus()->ready_replicas()) {
      progressed_ = true;
    }
    if (progressed_) ground_.patience.Restart(name_, ground_.now.boot);
    if (done) ground_.patience.Drop(name_);
    if (!done && IsAwaited(catalog_, view)) {
      const bool late = ProgressDeadline(view) <= ground_.now.boot;
      const std::optional<RolloutFailure> failure = FindFailure(view, status, late);
      if (failure.has_value()) return Fail(view, plan, std::move(status), *failure);
    }
    StoreStatus(std::move(status));
    TellOperation(view, plan, done);
    if (view.deleted && view.record->purge() && done && catalog_.InstancesOfApp(name_).empty()) {
      ground_.dirty.SetWaitsForRoom(name_, false);
      ground_.patience.Drop(name_);
      catalog_.EraseApp(name_);
      return absl::InfiniteDuration();
    }
    return NextLook(view, done);
  }

  void NoteGood() {
    const int64_t target = app().target_revision();
    if (app().good_revision() == target) return;
    rec::AppRecord& record = catalog_.apps.Mutate(name_);
    record.set_good_revision(target);
    record.clear_failed_revision();
  }

  void StoreStatus(api::AppStatus status) {
    const api::AppStatus* former = FormerStatus();
    if (former == nullptr) {
      catalog_.app_statuses.Insert(name_, std::move(status));
    } else if (!SameContent(*former, status)) {
      catalog_.app_statuses.Mutate(name_) = std::move(status);
    }
  }

  void TellOperation(const AppView& view, const RolloutPlan& plan, bool done) {
    const rec::OperationRecord* open = OpenOperation(catalog_, name_);
    if (open == nullptr) return;
    const std::string operation = open->operation().name();
    Progress progress = ProgressOf(view, plan, *FormerStatus());
    // Instances that are gone count as steps that were made.
    progress.steps = std::max(progress.steps,
                              view.deleted ? open->operation().progress().steps() : progress.steps);
    if (done) progress.step = progress.steps;
    if (done) progress.message = "Done.";
    SetOperationProgress(catalog_, operation, progress.step, progress.steps, progress.message);
    if (done) FinishOperation(catalog_, operation, absl::OkStatus(), ground_.now);
  }

  absl::Duration Fail(const AppView& view, const RolloutPlan& plan, api::AppStatus status,
                      const RolloutFailure& failure) {
    const int64_t target = app().target_revision();
    const int64_t good = app().good_revision();
    std::string message = failure.message;
    if (!message.ends_with('.')) message += ".";
    if (failure.reason == "PROGRESS_DEADLINE" && message.find(plan.note) == std::string::npos) {
      message += " " + plan.note;
    }
    std::map<std::string, std::string> metadata = {{"revision", std::to_string(target)}};
    if (const api::Condition* blocking = BlockingCondition(status)) {
      metadata["condition"] = blocking->type();
      metadata["condition_reason"] = blocking->reason();
    }
    const bool roll_back = failure.take_back && CanRollBack(catalog_, view);
    if (roll_back) {
      message = fmt::format("Revision {} failed and was rolled back to revision {}: {}", target,
                            good, message);
      metadata["rolled_back_to"] = std::to_string(good);
      rec::AppRecord& record = catalog_.apps.Mutate(name_);
      record.set_failed_revision(target);
      record.set_target_revision(good);
      ground_.patience.Restart(name_, ground_.now.boot);
      AppView back = ViewApp(catalog_, name_);
      status = Compute(back, plan, message);
      ground_.dirty.App(name_);
    }
    StoreStatus(std::move(status));
    if (const rec::OperationRecord* open = OpenOperation(catalog_, name_)) {
      const auto code = failure.reason == "PROGRESS_DEADLINE"
                            ? absl::StatusCode::kDeadlineExceeded
                            : absl::StatusCode::kFailedPrecondition;
      const std::string operation = open->operation().name();
      FinishOperation(catalog_, operation, MakeError(code, failure.reason, message, metadata),
                      ground_.now);
    }
    return NextLook(ViewApp(catalog_, name_), false);
  }

  api::AppStatus Compute(const AppView& view, const RolloutPlan& plan, std::string rolled_back) {
    return ComputeStatus(
        {catalog_, view, plan, FormerStatus(), losses_, ground_.now.wall, std::move(rolled_back)});
  }

  absl::Duration ProgressDeadline(const AppView& view) const {
    if (!IsAwaited(catalog_, view) || SetupRuns(view)) return absl::InfiniteDuration();
    const rec::OperationRecord* open = OpenOperation(catalog_, name_);
    const std::string operation = open == nullptr ? "" : open->operation().name();
    return ground_.patience.Since(name_, operation, ground_.now.boot) + PatienceOf(view);
  }

  // Attempts at setup of which nothing was heard for so long that operators should know.
  std::set<std::string> SilentTooLong(const AppView& view) {
    std::set<std::string> silent;
    for (const rec::InstanceRecord* record : view.setups) {
      if (record->instance().reachable()) continue;
      const auto lost = ground_.sessions.LostSince("nodes/" + record->instance().node());
      if (!lost.has_value()) continue;
      const absl::Duration due = *lost + SetupSilence(view);
      if (due <= ground_.now.boot) {
        silent.insert(record->instance().uid());
      } else {
        losses_.next = std::min(losses_.next, due);
      }
    }
    return silent;
  }

  absl::Duration NextLook(const AppView& view, bool done) const {
    absl::Duration next = losses_.next;
    if (!done) next = std::min(next, ProgressDeadline(view));
    return std::max(next, ground_.now.boot + absl::Milliseconds(1));
  }

  const Ground ground_;
  Catalog& catalog_;
  Random& random_;
  const std::string name_;
  LossReport losses_;
  std::optional<Placer> placer_;
  bool progressed_ = false;
  bool changed_ = false;  // Instances came, or should be something else.
};

}  // namespace

absl::Duration ReconcileApp(const CoreOptions& options, Catalog& catalog, const Sessions& sessions,
                            Dirty& dirty, Patience& patience, Random& random,
                            const std::string& app_name, const Moment& now) {
  const Ground ground{options, catalog, sessions, dirty, patience, now};
  return AppReconciler(ground, random, app_name).Run();
}

}  // namespace appsup::entry
