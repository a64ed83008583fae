#include <algorithm>
#include <set>
#include <utility>

#include "entry/core/app_status.h"
#include "entry/core/instance_facts.h"
#include "entry/core/proto_time.h"
#include "entry/core/setup.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

std::string Slots(int count) { return fmt::format("{} {}", count, count == 1 ? "slot" : "slots"); }

// "1 of 3 slots has", "2 of 3 slots have", "0 of 1 slot has".
std::string SlotsThat(int some, int all, const char* one_does, const char* many_do) {
  return fmt::format("{} of {} {}", some, Slots(all), some == 1 || all == 1 ? one_does : many_do);
}

// "node n1 does not answer", "nodes n1, n2 do not answer".
std::string SilentNodes(const std::set<std::string>& nodes) {
  std::string list;
  for (const std::string& node : nodes) {
    if (!list.empty()) list += ", ";
    list += node;
  }
  return nodes.size() == 1 ? fmt::format("node {} does not answer", list)
                           : fmt::format("nodes {} do not answer", list);
}

// Writes the conditions of one app.
class ConditionWriter {
 public:
  ConditionWriter(const StatusInput& input, api::AppStatus& status)
      : input_(input), view_(input.view), status_(status), counts_(CountSlots(input.view)) {}

  void WriteAll() {
    if (view_.runs) {
      WritePlaced();
      WriteFromInstances("ArtifactReady");
      WriteSetUp();
    }
    WriteReady();
    if (!view_.deleted) WriteUpToDate();
    WriteReachable();
    if (view_.runs) WriteFromInstances("LimitsEnforced");
  }

 private:
  void Write(const std::string& type, api::ConditionStatus status, const std::string& reason,
             std::string message) {
    api::Condition& condition = *status_.add_conditions();
    condition.set_type(type);
    condition.set_status(status);
    condition.set_reason(reason);
    condition.set_message(std::move(message));
    condition.set_observed_generation(view_.record->app().generation());
    const api::Condition* former =
        input_.former == nullptr ? nullptr : FindCondition(*input_.former, type);
    *condition.mutable_last_transition_time() = former != nullptr && former->status() == status
                                                    ? former->last_transition_time()
                                                    : ToTimestamp(input_.now);
  }

  void WritePlaced() {
    if (view_.environments.empty() && ReplicasOf(view_.spec()) > 0) {
      return Write("Placed", api::CONDITION_STATUS_FALSE, "NoEnvironment",
                   "The app names no environment, and there is not exactly one that its project "
                   "may use: name one in spec.placement.environments.");
    }
    if (input_.plan.unplaced.empty()) {
      const int placed = counts_.slots - counts_.empty;
      if (placed < counts_.slots) {
        return Write("Placed", api::CONDITION_STATUS_UNKNOWN, "Waiting",
                     SlotsThat(placed, counts_.slots, "has", "have") +
                         " a node; the rest waits for what comes first.");
      }
      return Write("Placed", api::CONDITION_STATUS_TRUE, "Placed",
                   SlotsThat(placed, counts_.slots, "has", "have") + " a node.");
    }
    std::set<std::string> told;
    std::string why;
    for (const auto& [slot, unplaced] : input_.plan.unplaced) {
      if (told.size() == 3 || !told.insert(unplaced.message).second) continue;
      why += (why.empty() ? "" : "; ") + unplaced.message;
    }
    Write("Placed", api::CONDITION_STATUS_FALSE, input_.plan.unplaced.begin()->second.reason,
          fmt::format("{} of {} cannot be placed: {}.", input_.plan.unplaced.size(),
                      Slots(counts_.slots), why));
  }

  // All instances of the target revision have to say so.
  void WriteFromInstances(const std::string& type) {
    int holds = 0;
    const api::Condition* reason = nullptr;
    for (const rec::InstanceRecord* record : Current()) {
      for (const api::Condition& condition : record->instance().conditions()) {
        if (condition.type() != type) continue;
        if (condition.status() != api::CONDITION_STATUS_TRUE) {
          return Write(type, condition.status(), condition.reason(),
                       fmt::format("{} on {}: {}", IdOf(record->instance().name()),
                                   record->instance().node(), condition.message()));
        }
        ++holds;
        reason = &condition;
      }
    }
    if (reason == nullptr) return;
    Write(type, api::CONDITION_STATUS_TRUE, reason->reason(),
          holds == 1 ? reason->message() : fmt::format("True of {} instances.", holds));
  }

  std::vector<const rec::InstanceRecord*> Current() const {
    std::vector<const rec::InstanceRecord*> records;
    for (const SlotView& slot : view_.slots) {
      if (slot.target != nullptr) records.push_back(slot.target);
    }
    for (const rec::InstanceRecord* record : view_.setups) {
      if (record->instance().revision() == view_.record->target_revision()) {
        records.push_back(record);
      }
    }
    return records;
  }

  void WriteSetUp() {
    const rec::RevisionRecord* revision = view_.target;
    const rec::SetupRecord* setup = &TargetSetup(view_);
    const bool needed = revision != nullptr && !revision->revision().setup_key().empty();
    if (!needed || setup->state() == api::SETUP_STATE_SUCCEEDED) {
      // An unknown outcome is not hidden by going back to an older revision.
      const rec::RevisionRecord* failed =
          FindRevision(input_.catalog, view_.name(), view_.record->failed_revision());
      if (failed != nullptr && failed != revision) {
        auto found = view_.record->setups().find(failed->revision().setup_key());
        if (found != view_.record->setups().end() &&
            found->second.state() == api::SETUP_STATE_OUTCOME_UNKNOWN) {
          return WriteSetUpOf(failed->revision().number(), found->second);
        }
      }
      if (!needed) return;
    }
    WriteSetUpOf(revision->revision().number(), *setup);
  }

  void WriteSetUpOf(int64_t revision, const rec::SetupRecord& setup) {
    switch (setup.state()) {
      case api::SETUP_STATE_SUCCEEDED:
        return Write("SetUp", api::CONDITION_STATUS_TRUE, "SetUp",
                     fmt::format("Setup of revision {} has succeeded.", revision));
      case api::SETUP_STATE_RUNNING:
        return Write("SetUp", api::CONDITION_STATUS_FALSE, "SettingUp",
                     DescribeAttempt(view_, setup));
      case api::SETUP_STATE_FAILED:
        return Write(
            "SetUp", api::CONDITION_STATUS_FALSE, "SetupFailed",
            fmt::format("Setup of revision {} failed: {}{} Try again with RetrySetup, or "
                        "change the app.",
                        revision, setup.message(), setup.message().ends_with('.') ? "" : ".") +
                LastLineOf(view_, setup));
      case api::SETUP_STATE_OUTCOME_UNKNOWN:
        return Write("SetUp", api::CONDITION_STATUS_UNKNOWN, "SetupOutcomeUnknown",
                     fmt::format("The outcome of setup of revision {} is unknown: {} Look, then "
                                 "say RetrySetup or AcceptSetup.",
                                 revision, setup.message()));
      default:
        return Write("SetUp", api::CONDITION_STATUS_FALSE, "SetupPending",
                     fmt::format("Setup of revision {} has not begun.", revision));
    }
  }

  void WriteReady() {
    if (view_.deleted) {
      return Write("Ready", api::CONDITION_STATUS_FALSE, "Deleted", "The app is deleted.");
    }
    if (!view_.runs) {
      return Write("Ready", api::CONDITION_STATUS_FALSE, "Stopped",
                   "The app is stopped, as wanted.");
    }
    if (counts_.slots == 0) {
      return Write("Ready", api::CONDITION_STATUS_FALSE, "NoReplicas", "No replica is wanted.");
    }
    const int good = counts_.ready + counts_.completed;
    if (good >= counts_.slots) {
      if (counts_.ready == 0) {
        return Write("Ready", api::CONDITION_STATUS_FALSE, "Completed",
                     fmt::format("{} of {} ended well and need not run again.", counts_.completed,
                                 Slots(counts_.slots)));
      }
      return Write("Ready", api::CONDITION_STATUS_TRUE, "Ready",
                   fmt::format("{} of {} ready.", good, Slots(counts_.slots)));
    }
    std::string message = fmt::format("{} of {} ready", good, Slots(counts_.slots));
    if (const rec::InstanceRecord* worst = Worst()) message += "; " + DescribeTrouble(*worst);
    if (!message.ends_with('.')) message += ".";
    Write("Ready", api::CONDITION_STATUS_FALSE, WhyNotReady(), std::move(message));
  }

  std::string WhyNotReady() const {
    if (counts_.given_up > 0) return "Failed";
    if (counts_.backing_off > 0) return "BackingOff";
    if (counts_.silent > 0) return "Unreachable";
    if (!input_.plan.unplaced.empty()) return "Unplaced";
    if (!IsSetUp(view_)) return "NotSetUp";
    return "Starting";
  }

  // The instance that says most about why the app is not ready.
  const rec::InstanceRecord* Worst() const {
    const rec::InstanceRecord* worst = nullptr;
    int rank = -1;
    for (const SlotView& slot : view_.slots) {
      const rec::InstanceRecord* target = slot.target;
      if (target == nullptr || IsServing(*target)) continue;
      if (HasCompleted(*target, view_.target_spec())) continue;
      const int mine = HasGivenUp(*target, view_.target_spec())     ? 3
                       : target->instance().has_next_attempt_time() ? 2
                       : target->instance().reachable()             ? 0
                                                                    : 1;
      if (mine <= rank) continue;
      rank = mine;
      worst = target;
    }
    return worst;
  }

  void WriteUpToDate() {
    const int64_t target = view_.record->target_revision();
    if (!input_.rolled_back.empty()) {
      return Write("UpToDate", api::CONDITION_STATUS_FALSE, "RolledBack", input_.rolled_back);
    }
    const api::Condition* former =
        input_.former == nullptr ? nullptr : FindCondition(*input_.former, "UpToDate");
    if (former != nullptr && former->reason() == "RolledBack" &&
        view_.record->failed_revision() > target) {
      return Write("UpToDate", api::CONDITION_STATUS_FALSE, "RolledBack", former->message());
    }
    if (!view_.runs || counts_.slots == 0) {
      return Write("UpToDate", api::CONDITION_STATUS_TRUE, "NothingRuns", "Nothing has to run.");
    }
    if (counts_.updated == counts_.slots) {
      return Write("UpToDate", api::CONDITION_STATUS_TRUE, "UpToDate",
                   fmt::format("{} revision {}.",
                               SlotsThat(counts_.updated, counts_.slots, "runs", "run"), target));
    }
    std::string message = fmt::format(
        "{} revision {}", SlotsThat(counts_.updated, counts_.slots, "runs", "run"), target);
    if (const rec::InstanceRecord* worst = Worst()) message += "; " + DescribeTrouble(*worst);
    if (!message.ends_with('.')) message += ".";
    if (!input_.plan.note.empty()) message += " " + input_.plan.note;
    Write("UpToDate", api::CONDITION_STATUS_FALSE, "RollingOut", std::move(message));
  }

  void WriteReachable() {
    std::set<std::string> silent_nodes;
    int silent = 0;
    int all = 0;
    auto look = [&](const rec::InstanceRecord* record) {
      ++all;
      if (record->instance().reachable() || HasEnded(*record)) return;
      ++silent;
      silent_nodes.insert(record->instance().node());
    };
    for (const SlotView& slot : view_.slots) {
      if (slot.target != nullptr) look(slot.target);
      std::for_each(slot.old.begin(), slot.old.end(), look);
      std::for_each(slot.leaving.begin(), slot.leaving.end(), look);
      std::for_each(slot.lost.begin(), slot.lost.end(), look);
    }
    std::for_each(view_.surplus.begin(), view_.surplus.end(), look);
    std::for_each(view_.setups.begin(), view_.setups.end(), look);
    if (all == 0) return;
    if (silent == 0) {
      return Write("Reachable", api::CONDITION_STATUS_TRUE, "Reachable",
                   "Every node that holds an instance answers.");
    }
    Write("Reachable", api::CONDITION_STATUS_FALSE, "NodeLost",
          fmt::format("{} of {} instances cannot be seen: {}. What they do is not known.{}", silent,
                      all, SilentNodes(silent_nodes), WhyNotReplaced()));
  }

  // " web-eu-0-abcde: its node's lease still runs." for the first few.
  std::string WhyNotReplaced() const {
    constexpr size_t kMost = 3;
    std::string text;
    size_t named = 0;
    for (const auto& [name, why] : input_.losses.held) {
      if (++named > kMost) continue;
      text += fmt::format(" {}: {}.", IdOf(name), why);
    }
    if (named > kMost) text += fmt::format(" And {} more.", named - kMost);
    return text;
  }

  const StatusInput& input_;
  const AppView& view_;
  api::AppStatus& status_;
  const SlotCounts counts_;
};

}  // namespace

void AddConditions(const StatusInput& input, api::AppStatus& status) {
  ConditionWriter(input, status).WriteAll();
}

}  // namespace appsup::entry
