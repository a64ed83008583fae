#include "tests/simulation/convergence.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/app_maker.h"

namespace appsup::simulation {
namespace {

// One look at everything.
class Look {
 public:
  explicit Look(const Scene& scene) : durable_(scene.disk.durable) {
    for (const AgentHost* agent : scene.agents) {
      for (const Tree* tree : agent->keeper().Trees()) trees_.push_back(tree);
      if (agent->keeper().unacknowledged() > 0) {
        Find(absl::StrCat(agent->id(), " has exits that were not acknowledged"));
      }
    }
    for (const Tree* tree : trees_) CheckTree(*tree);
    for (const auto& [name, app] : durable_.apps) CheckApp(app);
    for (const auto& [name, record] : durable_.instances) CheckInstance(record);
    for (const auto& [name, record] : durable_.operations) CheckOperation(record.operation());
    for (const auto& [name, record] : durable_.nodes) {
      if (record.node().status().state() != api::NODE_STATE_READY) {
        Find(absl::StrCat(name, " is ", api::NodeState_Name(record.node().status().state())));
      }
    }
  }

  const std::string& found() const { return found_; }

 private:
  void Find(const std::string& what) {
    if (found_.empty()) found_ = what;
  }

  const rec::InstanceRecord* InstanceOf(const Tree& tree) const {
    const auto name = durable_.instance_by_uid.find(tree.id.instance_uid);
    if (name == durable_.instance_by_uid.end()) return nullptr;
    return &durable_.instances.at(name->second);
  }

  // No orphan: whatever runs is wanted.
  void CheckTree(const Tree& tree) {
    const std::string who = absl::StrCat("instance ", tree.id.instance_uid, " of slot ", tree.slot,
                                         " on n", tree.node + 1);
    const rec::InstanceRecord* record = InstanceOf(tree);
    if (record == nullptr) return Find(who + " runs and is not in the catalog");
    if (record->instance().desired() != api::DESIRED_STATE_RUN) {
      return Find(absl::StrCat(who, " (", record->instance().name(), ") runs and should not"));
    }
  }

  void CheckApp(const rec::AppRecord& record) {
    const api::App& app = record.app();
    const bool stopped = app.spec().run_state() == api::RUN_STATE_STOPPED;
    if (app.has_delete_time() || stopped) {
      for (const Tree* tree : trees_) {
        if (tree->app_uid == app.uid()) Find(app.name() + " should not run, and does");
      }
      return;
    }
    const auto revision =
        durable_.revisions.find(absl::StrCat(app.name(), "/revisions/", record.target_revision()));
    if (revision == durable_.revisions.end()) return Find(app.name() + " has no target revision");
    const api::AppSpec& spec = revision->second.revision().spec();
    if (!IsHealthy(spec) || !IsSetUp(record, revision->second.revision())) return;
    CheckSlots(record, spec);
  }

  static bool IsSetUp(const rec::AppRecord& record, const api::AppRevision& revision) {
    if (revision.setup_key().empty()) return true;
    const auto setup = record.setups().find(revision.setup_key());
    if (setup == record.setups().end()) return true;  // To be done.
    return setup->second.state() != api::SETUP_STATE_FAILED &&
           setup->second.state() != api::SETUP_STATE_OUTCOME_UNKNOWN;
  }

  void CheckSlots(const rec::AppRecord& record, const api::AppSpec& spec) {
    const api::App& app = record.app();
    const int replicas = app.spec().has_replicas() ? app.spec().replicas() : 1;
    // A slot that cannot be placed may use up what an update may take down: the rest waits, too.
    const bool fits = !HasFixedPort(spec) || replicas <= 1;
    std::map<std::string, int> running;
    for (const Tree* tree : trees_) {
      if (tree->app_uid != app.uid() || tree->id.kind != agent::ProcessKind::kMain) continue;
      if (tree->revision == record.target_revision()) {
        ++running[tree->slot];
      } else if (fits) {
        Find(absl::StrCat(app.name(), " runs revision ", tree->revision, " instead of ",
                          record.target_revision()));
      }
    }
    for (int slot = 0; slot < replicas && fits; ++slot) {
      const int count = running[absl::StrCat(app.uid(), "/eu/", slot)];
      if (count != 1) {
        Find(absl::StrCat(app.name(), " slot ", slot, " runs ", count, " times"));
      }
    }
    const auto status = durable_.statuses.find(app.name());
    const bool told = status != durable_.statuses.end() &&
                      (status->second.state() == api::APP_STATE_RUNNING || replicas == 0);
    if (fits && !told) {
      Find(absl::StrCat(app.name(), " is told to be ",
                        status == durable_.statuses.end()
                            ? "nothing"
                            : api::AppState_Name(status->second.state())));
    }
  }

  static bool HasFixedPort(const api::AppSpec& spec) {
    return std::any_of(spec.ports().begin(), spec.ports().end(),
                       [](const api::Port& port) { return port.number() != 0; });
  }

  // What the entry tells is true.
  void CheckInstance(const rec::InstanceRecord& record) {
    const api::Instance& instance = record.instance();
    if (IsRestless(instance)) return;
    const Tree* tree = nullptr;
    for (const Tree* candidate : trees_) {
      if (candidate->id.instance_uid == instance.uid()) tree = candidate;
    }
    if (instance.state() == api::INSTANCE_STATE_RUNNING && tree == nullptr) {
      Find(instance.name() + " is told to be running, and is not");
    }
    if (tree == nullptr) return;
    if (instance.attempt() != tree->id.attempt || instance.pid() != tree->pid) {
      Find(absl::StrCat(instance.name(), " is told to run as attempt ", instance.attempt(),
                        ", and runs as ", tree->id.attempt));
    }
    if (instance.desired() == api::DESIRED_STATE_RUN && !instance.reachable()) {
      Find(instance.name() + " is told to be unreachable");
    }
  }

  // It should run, and comes and goes by its own fault.
  bool IsRestless(const api::Instance& instance) const {
    const auto revision = durable_.revisions.find(
        absl::StrCat(entry::AppOf(instance.name()), "/revisions/", instance.revision()));
    return instance.desired() == api::DESIRED_STATE_RUN && revision != durable_.revisions.end() &&
           !IsHealthy(revision->second.revision().spec());
  }

  // Its app may be unable to do what it waits for, until the deadline that it has for that.
  void CheckOperation(const api::Operation& operation) {
    if (operation.done()) return;
    const auto app = durable_.apps.find(operation.target());
    if (app == durable_.apps.end()) {
      if (!operation.target().starts_with("nodes/")) Find(operation.name() + " has no app");
      return;
    }
    const auto revision = durable_.revisions.find(
        absl::StrCat(operation.target(), "/revisions/", app->second.target_revision()));
    const bool well = revision != durable_.revisions.end() &&
                      IsHealthy(revision->second.revision().spec()) &&
                      IsSetUp(app->second, revision->second.revision());
    const int replicas = app->second.app().spec().replicas();
    const bool fits = revision != durable_.revisions.end() &&
                      (!HasFixedPort(revision->second.revision().spec()) || replicas <= 1);
    if (well && fits) {
      Find(absl::StrCat(operation.name(), " (", operation.kind(), " of ", operation.target(),
                        ") does not end: ", operation.progress().message()));
    }
  }

  const Durable& durable_;
  std::vector<const Tree*> trees_;
  std::string found_;
};

}  // namespace

std::string FindUnsettled(const Scene& scene) { return Look(scene).found(); }

absl::Duration LongestOwnTime(const Scene& scene) {
  absl::Duration longest;
  for (const auto& [name, revision] : scene.disk.durable.revisions) {
    longest = std::max(longest, OwnTime(revision.revision().spec()));
  }
  return longest;
}

}  // namespace appsup::simulation
