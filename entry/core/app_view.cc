#include "entry/core/app_view.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "entry/core/disconnect.h"
#include "entry/core/instance_facts.h"

namespace appsup::entry {
namespace {

// Puts an app's instances where they belong.
class Arranger {
 public:
  Arranger(const Catalog& catalog, AppView& view) : catalog_(catalog), view_(view) {
    for (size_t i = 0; i < view.slots.size(); ++i) {
      slots_[{view.slots[i].environment, view.slots[i].number}] = &view.slots[i];
    }
  }

  void Add(const rec::InstanceRecord& record) {
    const api::Instance& instance = record.instance();
    auto found = slots_.find({instance.environment(), instance.slot()});
    SlotView* slot = found == slots_.end() ? nullptr : found->second;
    if (slot != nullptr) NoteNewest(*slot, record);
    if (IsGone(record)) {
      view_.gone.push_back(&record);
    } else if (instance.setup()) {
      view_.setups.push_back(&record);
    } else if (slot == nullptr) {
      view_.surplus.push_back(&record);
    } else {
      AddToSlot(*slot, record);
    }
  }

 private:
  void NoteNewest(SlotView& slot, const rec::InstanceRecord& record) {
    if (slot.newest == nullptr || IsOlder(*slot.newest, record)) slot.newest = &record;
  }

  void AddToSlot(SlotView& slot, const rec::InstanceRecord& record) {
    if (IsLeaving(record)) {
      slot.leaving.push_back(&record);
    } else if (record.loss() == rec::LOSS_REPLACED) {
      slot.lost.push_back(&record);
    } else if (record.instance().revision() != view_.record->target_revision() ||
               MustMove(record)) {
      slot.old.push_back(&record);
    } else if (slot.target == nullptr) {
      slot.target = &record;
    } else if (IsOlder(*slot.target, record)) {
      slot.old.push_back(std::exchange(slot.target, &record));
    } else {
      slot.old.push_back(&record);
    }
  }

  static bool IsOlder(const rec::InstanceRecord& a, const rec::InstanceRecord& b) {
    const auto& at = a.instance().create_time();
    const auto& bt = b.instance().create_time();
    return std::tuple(at.seconds(), at.nanos(), a.instance().revision()) <
           std::tuple(bt.seconds(), bt.nanos(), b.instance().revision());
  }

  // Its node is to be emptied, and it can go. What a silent node runs is not replaced.
  bool MustMove(const rec::InstanceRecord& record) {
    if (KeepsNodeData(view_.target_spec()) || !record.instance().reachable()) return false;
    const std::string& node = record.instance().node();
    auto known = emptied_.find(node);
    if (known == emptied_.end()) {
      const rec::NodeRecord* found = catalog_.nodes.Find("nodes/" + node);
      const bool emptied = found != nullptr && found->node().desired() == api::NODE_DESIRED_DRAINED;
      known = emptied_.emplace(node, emptied).first;
    }
    return known->second;
  }

  const Catalog& catalog_;
  AppView& view_;
  std::map<std::pair<std::string, int32_t>, SlotView*> slots_;
  std::map<std::string, bool> emptied_;  // Node id → it is to be emptied.
};

// Where its data is, if the slot has any that stays on a node.
bool IsBound(const Catalog& catalog, const AppView& view, const SlotView& slot) {
  if (slot.newest == nullptr || !KeepsNodeData(view.target_spec())) return false;
  const api::Instance& newest = slot.newest->instance();
  if (newest.state() == api::INSTANCE_STATE_REJECTED && newest.attempt() == 0) return false;
  const rec::RevisionRecord* revision = FindRevision(catalog, view.name(), newest.revision());
  return revision != nullptr && KeepsNodeData(revision->revision().spec());
}

bool Recreates(const AppView& view) {
  const api::UpdateStrategy strategy = view.spec().update().strategy();
  if (strategy != api::UPDATE_STRATEGY_UNSPECIFIED && !KeepsNodeData(view.target_spec())) {
    return strategy == api::UPDATE_STRATEGY_RECREATE;
  }
  return view.target_spec().has_setup() || KeepsNodeData(view.target_spec());
}

}  // namespace

const rec::RevisionRecord* FindRevision(const Catalog& catalog, const std::string& app_name,
                                        int64_t number) {
  return catalog.revisions.Find(app_name + "/revisions/" + std::to_string(number));
}

int ReplicasOf(const api::AppSpec& spec) { return spec.has_replicas() ? spec.replicas() : 1; }

std::vector<std::string> WantedEnvironments(const Catalog& catalog, const rec::AppRecord& app) {
  const auto& named = app.app().spec().placement().environments();
  if (!named.empty()) {
    std::vector<std::string> ids;
    for (const std::string& id : named) {
      if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
    }
    return ids;
  }
  const std::string project = ProjectIdOf(app.app().name());
  std::vector<std::string> allowed;
  for (const auto& [name, record] : catalog.environments.rows()) {
    const auto& projects = record.environment().allowed_projects();
    if (projects.empty() ||
        std::find(projects.begin(), projects.end(), project) != projects.end()) {
      allowed.push_back(IdOf(name));
    }
  }
  // Where it already is, it stays, even if there are more by now.
  if (allowed.size() > 1) allowed.clear();
  for (const std::string& instance : catalog.InstancesOfApp(app.app().name())) {
    if (!allowed.empty()) break;
    const rec::InstanceRecord* record = catalog.instances.Find(instance);
    if (!IsLeaving(*record)) allowed.push_back(record->instance().environment());
  }
  return allowed;
}

AppView ViewApp(const Catalog& catalog, const std::string& app_name) {
  AppView view;
  view.record = catalog.apps.Find(app_name);
  view.target = FindRevision(catalog, app_name, view.record->target_revision());
  view.deleted = view.record->app().has_delete_time();
  view.runs = !view.deleted && view.spec().run_state() != api::RUN_STATE_STOPPED;
  view.recreate = Recreates(view);
  view.fenced = RuleOf(view.spec(), view.target_spec()).fenced;
  view.environments = WantedEnvironments(catalog, *view.record);
  const int replicas = view.deleted ? 0 : ReplicasOf(view.spec());
  for (const std::string& environment : view.environments) {
    for (int number = 0; number < replicas; ++number) {
      view.slots.push_back({environment, number, nullptr, {}, {}, {}, nullptr, false});
    }
  }
  Arranger arranger(catalog, view);
  const std::string prefix = app_name + "/instances/";
  for (auto row = catalog.instances.rows().lower_bound(prefix);
       row != catalog.instances.rows().end() && row->first.starts_with(prefix); ++row) {
    arranger.Add(row->second);
  }
  for (SlotView& slot : view.slots) slot.bound = IsBound(catalog, view, slot);
  return view;
}

}  // namespace appsup::entry
