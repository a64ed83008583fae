#include <algorithm>
#include <string>
#include <vector>

#include "common/status.h"
#include "entry/core/brake.h"
#include "entry/core/instance_facts.h"
#include "entry/core/node_guard.h"
#include "entry/core/operation.h"
#include "entry/core/proto_time.h"
#include "entry/core/reconcile.h"
#include "entry/core/serialize.h"
#include "entry/core/statement.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kDrainPatience = absl::Minutes(10);
constexpr size_t kMaxNamed = 5;  // Instances that a sentence names.

bool IsLess(const api::ResourceTotals& a, const api::ResourceTotals& b) {
  return a.cpu_millis() < b.cpu_millis() || a.memory_bytes() < b.memory_bytes() ||
         a.pids() < b.pids();
}

// What placement looks at, but for what is reserved.
std::string OfferOf(const api::Node& node) {
  api::Node offer;
  offer.set_environment(node.environment());
  *offer.mutable_labels() = node.labels();
  if (node.has_schedulable()) offer.set_schedulable(node.schedulable());
  offer.set_desired(node.desired());
  *offer.mutable_status()->mutable_capacity() = node.status().capacity();
  *offer.mutable_status()->mutable_drivers() = node.status().drivers();
  return Serialize(offer);
}

class NodeReconciler {
 public:
  NodeReconciler(Catalog& catalog, const Sessions& sessions, Dirty& dirty, Patience& patience,
                 const std::string& name, const Moment& now)
      : catalog_(catalog),
        sessions_(sessions),
        dirty_(dirty),
        patience_(patience),
        name_(name),
        now_(now) {}

  absl::Duration Run() {
    FindRemaining();
    const api::Node before = node();
    api::Node after = before;
    api::NodeStatus& status = *after.mutable_status();
    const NodeUse::Use& use = catalog_.node_use.Of(IdOf(name_));
    *status.mutable_allocated() = use.reserved;
    status.set_instances(use.instances);
    WriteConditions(status);
    status.set_state(StateOf());
    if (!SameContent(before, after)) *catalog_.nodes.Mutate(name_).mutable_node() = after;

    NoteReachability(before.status().state() != status.state(), status.state());
    const bool emptied = IsEmptied(before.status().state());
    const bool guarded = before.status().state() == api::NODE_STATE_GUARDED;
    if (emptied != IsEmptied(status.state()) || IsDesiredDrained() != emptied ||
        guarded != (status.state() == api::NODE_STATE_GUARDED)) {
      TouchApps();
    }
    if (before.status().state() != status.state() || sessions_.Lost(name_)) {
      UpdateBrake(catalog_, dirty_, after.environment());
    }
    if (OffersMore(before, after)) dirty_.RoomMade();
    return ReportDrain();
  }

 private:
  const api::Node& node() const { return catalog_.nodes.Find(name_)->node(); }
  const rec::NodeRecord& record() const { return *catalog_.nodes.Find(name_); }
  bool IsGuarded() const { return !record().guard().empty(); }
  bool IsDesiredDrained() const { return node().desired() == api::NODE_DESIRED_DRAINED; }

  static bool IsEmptied(api::NodeState state) {
    return state == api::NODE_STATE_DRAINING || state == api::NODE_STATE_DRAINED;
  }

  api::NodeState StateOf() const {
    if (record().revoked()) return api::NODE_STATE_REVOKED;
    if (sessions_.Lost(name_)) return api::NODE_STATE_LOST;
    const bool connected = sessions_.Connected(name_);
    // Before its lease ends, a node that is away counts as it did.
    if (!connected && node().status().state() == api::NODE_STATE_UNSPECIFIED) {
      return api::NODE_STATE_UNSPECIFIED;
    }
    if (IsGuarded()) return api::NODE_STATE_GUARDED;
    if (!IsDesiredDrained()) return api::NODE_STATE_READY;
    return movable_ > 0 ? api::NODE_STATE_DRAINING : api::NODE_STATE_DRAINED;
  }

  void WriteConditions(api::NodeStatus& status) const {
    google::protobuf::RepeatedPtrField<api::Condition> former;
    former.Swap(status.mutable_conditions());
    *status.add_conditions() = Reachable();
    if (record().incarnation() > 0) *status.add_conditions() = GuardCondition(record());
    for (api::Condition& condition : *status.mutable_conditions()) {
      *condition.mutable_last_transition_time() = ToTimestamp(now_.wall);
      for (const api::Condition& before : former) {
        if (before.type() != condition.type() || before.status() != condition.status()) continue;
        *condition.mutable_last_transition_time() = before.last_transition_time();
      }
    }
  }

  api::Condition Reachable() const {
    api::Condition condition;
    condition.set_type("Reachable");
    if (sessions_.Connected(name_)) {
      condition.set_status(api::CONDITION_STATUS_TRUE);
      condition.set_reason("Connected");
      condition.set_message("Its agent is connected.");
    } else if (sessions_.Lost(name_)) {
      condition.set_status(api::CONDITION_STATUS_FALSE);
      condition.set_reason("LeaseEnded");
      condition.set_message("Its agent was not heard for longer than its lease.");
    } else {
      condition.set_status(api::CONDITION_STATUS_UNKNOWN);
      condition.set_reason("NotConnected");
      condition.set_message("Its agent is not connected at present.");
    }
    return condition;
  }

  // A LOST node's instances are not known any more; what becomes of them is decided by their apps.
  // They are all alike, so the first one tells whether there is anything to do: a node is looked at
  // after each new instance.
  void NoteReachability(bool changed, api::NodeState state) {
    const bool reachable = state != api::NODE_STATE_LOST && state != api::NODE_STATE_REVOKED;
    const std::set<std::string>& names = catalog_.InstancesOfNode(name_);
    if (names.empty()) return;
    if (!changed && catalog_.instances.Find(*names.begin())->instance().reachable() == reachable) {
      return;
    }
    for (const std::string& name : names) {
      if (catalog_.instances.Find(name)->instance().reachable() == reachable) continue;
      rec::InstanceRecord& record = catalog_.instances.Mutate(name);
      record.mutable_instance()->set_reachable(reachable);
      if (reachable && record.loss() != rec::LOSS_UNSPECIFIED) {
        record.clear_loss();
        record.mutable_instance()->clear_replaced();
        record.mutable_instance()->clear_message();
      }
      dirty_.App(AppOf(name));
    }
  }

  void TouchApps() {
    for (const std::string& name : catalog_.InstancesOfNode(name_)) dirty_.App(AppOf(name));
  }

  bool OffersMore(const api::Node& before, const api::Node& after) const {
    if (IsLess(after.status().allocated(), before.status().allocated())) return true;
    if (before.status().state() != after.status().state()) return true;
    const auto& was = before.status().conditions();
    if (was.empty() || was[0].status() != after.status().conditions(0).status()) return true;
    // Somebody else wrote it since the last transaction.
    const rec::NodeRecord* earlier = catalog_.nodes.Before(name_);
    return earlier == nullptr ||
           (earlier != &record() && OfferOf(earlier->node()) != OfferOf(after));
  }

  // What still has to leave, if the node is to be emptied.
  void FindRemaining() {
    if (!IsDesiredDrained()) return;
    for (const std::string& name : catalog_.InstancesOfNode(name_)) {
      const rec::InstanceRecord& instance = *catalog_.instances.Find(name);
      if (IsGone(instance)) continue;
      if (HasEnded(instance) && instance.instance().desired() != api::DESIRED_STATE_RUN) continue;
      ++remaining_;
      const rec::RevisionRecord* revision = RevisionOf(catalog_, instance);
      std::string why = instance.stuck();
      if (!IsLeaving(instance) && revision != nullptr &&
          KeepsNodeData(revision->revision().spec())) {
        why = "its data is on this node";
      } else {
        ++movable_;
        if (!instance.instance().reachable()) why = "the node does not answer";
        if (IsGuarded()) why = "the node is guarded";
        if (!why.empty()) ++stuck_;
      }
      if (!why.empty()) Name(instance.instance(), why);
    }
  }

  void Name(const api::Instance& instance, const std::string& why) {
    if (++named_ > kMaxNamed) return;
    if (!sentence_.empty()) sentence_ += "; ";
    sentence_ += fmt::format("{} cannot leave: {}", instance.name(), why);
  }

  absl::Duration ReportDrain() {
    const rec::OperationRecord* open = OpenOperation(catalog_, name_);
    if (open == nullptr || !IsDesiredDrained()) return absl::InfiniteDuration();
    const std::string operation = open->operation().name();
    const int steps = std::max(open->operation().progress().steps(), remaining_);
    std::string message = fmt::format("{} of {} instances have left.", steps - remaining_, steps);
    if (!sentence_.empty()) message += " " + sentence_ + ".";
    if (named_ > kMaxNamed) message += fmt::format(" {} more cannot leave.", named_ - kMaxNamed);
    if (remaining_ > 0 && IsGuarded()) {
      message +=
          fmt::format(" Nothing is stopped on the node until {}.", AcceptCommand(IdOf(name_)));
    }
    SetOperationProgress(catalog_, operation, steps - remaining_, steps, message);
    if (remaining_ == 0) {
      FinishOperation(catalog_, operation, absl::OkStatus(), now_);
      return absl::InfiniteDuration();
    }
    const absl::Duration deadline = patience_.Since(name_, operation, now_.boot) + kDrainPatience;
    const bool only_data = movable_ == 0;
    const bool blocked = stuck_ == movable_;
    if (only_data || (blocked && now_.boot >= deadline)) {
      const auto code =
          only_data ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kDeadlineExceeded;
      FinishOperation(catalog_, operation,
                      MakeError(code, "CANNOT_DRAIN", message, {{"node", IdOf(name_)}}), now_);
      return absl::InfiniteDuration();
    }
    if (now_.boot >= deadline) return absl::InfiniteDuration();  // The next move looks again.
    return deadline;
  }

  Catalog& catalog_;
  const Sessions& sessions_;
  Dirty& dirty_;
  Patience& patience_;
  const std::string name_;
  const Moment& now_;
  int remaining_ = 0;  // Not gone, not stopped.
  int movable_ = 0;    // Of these, those without data that stays here.
  int stuck_ = 0;      // Of these, those that have nowhere to go at present.
  size_t named_ = 0;
  std::string sentence_;
};

}  // namespace

absl::Duration ReconcileNode(const CoreOptions&, Catalog& catalog, const Sessions& sessions,
                             Dirty& dirty, Patience& patience, const std::string& node_name,
                             const Moment& now) {
  return NodeReconciler(catalog, sessions, dirty, patience, node_name, now).Run();
}

}  // namespace appsup::entry
