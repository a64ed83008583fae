#include "entry/core/instance_changes.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "common/id.h"
#include "entry/core/disconnect.h"
#include "entry/core/instance_facts.h"
#include "entry/core/proto_time.h"
#include "entry/core/statement.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr size_t kMaxEnvironmentPart = 48;
constexpr size_t kRandomPart = 5;

std::string NewInstanceName(const Catalog& catalog, Random& random, const std::string& app,
                            const SlotView& slot, bool setup) {
  const std::string stem =
      fmt::format("{}/instances/{}-{}-", app, slot.environment.substr(0, kMaxEnvironmentPart),
                  setup ? std::string("setup") : std::to_string(slot.number));
  std::string name;
  do {
    name = stem + ShortId(random, kRandomPart);
  } while (catalog.instances.Find(name) != nullptr);
  return name;
}

std::string NodeName(const rec::InstanceRecord& record) {
  return "nodes/" + record.instance().node();
}

// The names of an app's instances; for loops that change them.
std::vector<std::string> InstanceNames(const Catalog& catalog, const std::string& app_name) {
  const std::set<std::string>& names = catalog.InstancesOfApp(app_name);
  return {names.begin(), names.end()};
}

// Finds out what of an app's gone instances has to stay.
class Undertaker {
 public:
  Undertaker(const Ground& ground, const std::string& app_name)
      : ground_(ground), app_(*ground.catalog.apps.Find(app_name)) {}

  void Run() {
    for (const std::string& name : InstanceNames(ground_.catalog, app_.app().name())) {
      const rec::InstanceRecord& record = *ground_.catalog.instances.Find(name);
      const bool homeless = !NodeExists(record.instance().node());
      if (homeless || IsGone(record)) {
        Bury(name, record, homeless);
      } else if (ReservesWrongly(record)) {
        UpdateReservation(ground_.options, ground_.catalog, ground_.dirty, name);
      }
    }
  }

 private:
  bool NodeExists(const std::string& node) {
    auto known = nodes_.find(node);
    if (known == nodes_.end()) {
      known = nodes_.emplace(node, ground_.catalog.nodes.Find("nodes/" + node) != nullptr).first;
    }
    return known->second;
  }

  static bool ReservesWrongly(const rec::InstanceRecord& record) {
    const bool over = HasEnded(record) && (record.instance().setup() ||
                                           record.instance().desired() != api::DESIRED_STATE_RUN);
    const bool reserves = record.reserved().memory_bytes() > 0 || record.fixed_ports_size() > 0;
    return over == reserves;
  }

  void Bury(const std::string& name, const rec::InstanceRecord& record, bool homeless) {
    const bool has_data = !record.purge_data() && HasNodeData(record);
    const bool purged = app_.app().has_delete_time() && app_.purge();
    if (has_data && purged && !homeless) {
      SetDesired(ground_, name, api::DESIRED_STATE_REMOVE, true);
      return;
    }
    if (has_data && !purged && IsNewestOfSlot(record)) {
      if (!IsGone(record)) return Mark(name);
      if (ReservesWrongly(record)) {
        UpdateReservation(ground_.options, ground_.catalog, ground_.dirty, name);
      }
      return;
    }
    ground_.dirty.Node(NodeName(record));
    ground_.catalog.RemoveInstance(name);
  }

  // Its node was deleted, and its data with it, as far as this system can know.
  void Mark(const std::string& name) {
    rec::InstanceRecord& record = ground_.catalog.instances.Mutate(name);
    record.mutable_instance()->set_desired(api::DESIRED_STATE_REMOVE);
    record.mutable_instance()->set_state(api::INSTANCE_STATE_REMOVED);
    record.mutable_instance()->set_ready(false);
    record.mutable_instance()->clear_endpoints();
    record.set_applied_generation(record.generation());
    UpdateReservation(ground_.options, ground_.catalog, ground_.dirty, name);
  }

  bool HasNodeData(const rec::InstanceRecord& record) const {
    const rec::RevisionRecord* revision = RevisionOf(ground_.catalog, record);
    return revision != nullptr && KeepsNodeData(revision->revision().spec());
  }

  bool IsNewestOfSlot(const rec::InstanceRecord& record) {
    if (newest_.empty()) FindNewest();
    const api::Instance& instance = record.instance();
    return newest_.at({instance.environment(), instance.slot()}) == instance.name();
  }

  void FindNewest() {
    std::map<Slot, std::tuple<int64_t, int32_t, int64_t>> ages;
    for (const std::string& name : ground_.catalog.InstancesOfApp(app_.app().name())) {
      const api::Instance& instance = ground_.catalog.instances.Find(name)->instance();
      const Slot slot{instance.environment(), instance.slot()};
      const std::tuple age(instance.create_time().seconds(), instance.create_time().nanos(),
                           instance.revision());
      auto [known, first] = ages.emplace(slot, age);
      if (!first && age < known->second) continue;
      known->second = age;
      newest_[slot] = name;
    }
  }

  using Slot = std::pair<std::string, int32_t>;

  const Ground& ground_;
  const rec::AppRecord& app_;
  std::map<std::string, bool> nodes_;
  std::map<Slot, std::string> newest_;  // Names; filled when first needed.
};

bool StartsFenced(const Ground& ground, const AppView& view, const std::string& node, bool setup) {
  if (!setup) return RuleOf(view.spec(), view.target_spec()).fenced;
  const rec::NodeRecord* record = ground.catalog.nodes.Find("nodes/" + node);
  return IsSetupFenced(view.target_spec()) && record != nullptr && CanFence(record->node());
}

bool Admits(const api::Environment& environment, const std::string& project) {
  const auto& allowed = environment.allowed_projects();
  return allowed.empty() || std::find(allowed.begin(), allowed.end(), project) != allowed.end();
}

}  // namespace

std::string CreateInstance(const Ground& ground, Random& random, const AppView& view,
                           const SlotView& slot, const std::string& node, bool setup) {
  const api::App& app = view.record->app();
  const std::string name = NewInstanceName(ground.catalog, random, app.name(), slot, setup);
  rec::InstanceRecord record;
  api::Instance& instance = *record.mutable_instance();
  instance.set_name(name);
  instance.set_uid(NewUuid(random));
  instance.set_revision(view.record->target_revision());
  instance.set_slot(slot.number);
  instance.set_environment(slot.environment);
  instance.set_node(node);
  instance.set_desired(api::DESIRED_STATE_RUN);
  instance.set_state(api::INSTANCE_STATE_ASSIGNED);
  *instance.mutable_create_time() = ToTimestamp(ground.now.wall);
  instance.set_reachable(true);
  instance.set_setup(setup);
  record.set_app_uid(app.uid());
  record.set_restart_nonce(app.spec().restart_nonce());
  record.set_app_generation(app.generation());
  ground.catalog.AddInstance(std::move(record));
  if (StartsFenced(ground, view, node, setup)) SetFenced(ground.catalog, name, true);
  UpdateReservation(ground.options, ground.catalog, ground.dirty, name);
  Restate(ground.catalog, ground.dirty, name);
  return name;
}

void SetDesired(const Ground& ground, const std::string& instance_name, api::DesiredState desired,
                bool purge_data) {
  const rec::InstanceRecord* before = ground.catalog.instances.Find(instance_name);
  if (before->instance().desired() == desired && before->purge_data() == purge_data) return;
  const api::App& app = ground.catalog.apps.Find(AppOf(instance_name))->app();
  rec::InstanceRecord& record = ground.catalog.instances.Mutate(instance_name);
  record.mutable_instance()->set_desired(desired);
  record.set_purge_data(purge_data);
  record.set_app_generation(app.generation());
  if (desired == api::DESIRED_STATE_RUN) record.set_restart_nonce(app.spec().restart_nonce());
  Restate(ground.catalog, ground.dirty, instance_name);
  UpdateReservation(ground.options, ground.catalog, ground.dirty, instance_name);
}

void ClearGone(const Ground& ground, const std::string& app_name) {
  Undertaker(ground, app_name).Run();
}

void LoadEnvironment(const Ground& ground, const std::string& app_name,
                     const std::string& environment, Placer& placer) {
  const rec::EnvironmentRecord* record =
      ground.catalog.environments.Find("environments/" + environment);
  if (record == nullptr) {
    placer.RefuseEnvironment(
        environment, {"NoEnvironment", fmt::format("there is no environment {}", environment)});
    return;
  }
  if (!Admits(record->environment(), ProjectIdOf(app_name))) {
    placer.RefuseEnvironment(environment,
                             {"NotAllowed", fmt::format("environment {} does not admit project {}",
                                                        environment, ProjectIdOf(app_name))});
    return;
  }
  std::vector<NodeView> nodes;
  for (const auto& [name, node] : ground.catalog.nodes.rows()) {
    if (node.node().environment() != environment) continue;
    nodes.push_back(
        {&node.node(), &ground.catalog.node_use.Of(IdOf(name)), ground.sessions.Connected(name)});
  }
  placer.AddEnvironment(environment, nodes);
}

void NoteStuck(const Ground& ground, const std::string& app_name,
               const std::map<std::string, std::string>& why_by_name) {
  for (const std::string& name : ground.catalog.InstancesOfApp(app_name)) {
    auto why = why_by_name.find(name);
    const std::string text = why == why_by_name.end() ? "" : why->second;
    const rec::InstanceRecord& record = *ground.catalog.instances.Find(name);
    if (record.stuck() == text) continue;
    ground.catalog.instances.Mutate(name).set_stuck(text);
    ground.dirty.Node(NodeName(record));
  }
}

}  // namespace appsup::entry
