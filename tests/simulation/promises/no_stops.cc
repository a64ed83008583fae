// 11: a crash, restart, upgrade or outage of agent or entry stops no app.
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent/core/instance.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

class NoStops : public Observer {
 public:
  explicit NoStops(Scene& scene) : scene_(scene) {}

  // An entry has said something that is a reason to stop what runs.
  void OnAgentHears(int, const api::ConnectResponse& message) override {
    for (const api::Assignment& assignment : message.assignments().assignments()) {
      if (assignment.desired() != api::DESIRED_STATE_RUN) {
        reasons_.insert(assignment.uid());
        continue;
      }
      const std::string statement =
          absl::StrCat(assignment.restart_nonce(), "|", agent::SpecDigest(assignment));
      const auto [known, first] = statements_.emplace(assignment.uid(), statement);
      if (!first && known->second != statement) {
        known->second = statement;
        reasons_.insert(assignment.uid());
      }
    }
  }

  void OnAsked(int node, const agent::StopProcess& stop) override {
    if (stop.id.kind != agent::ProcessKind::kMain || reasons_.contains(stop.id.instance_uid))
      return;
    Fail(node, stop.id, "is told to stop");
  }

  void OnAsked(int node, const agent::KillProcess& kill) override {
    if (kill.id.kind != agent::ProcessKind::kMain || reasons_.contains(kill.id.instance_uid))
      return;
    const Tree* tree = scene_.agents[static_cast<size_t>(node)]->keeper().FindRunning(
        kill.id.instance_uid, kill.id.attempt);
    if (tree != nullptr) Fail(node, kill.id, "is killed");
  }

  // The entry itself changes its mind only where an operator, or the end of something, is behind
  // it.
  void OnInstanceRow(const rec::InstanceRecord* before, const rec::InstanceRecord* after) override {
    if (before == nullptr || after == nullptr) return;
    if (before->instance().desired() != api::DESIRED_STATE_RUN ||
        after->instance().desired() == api::DESIRED_STATE_RUN || HasCause(*before, *after)) {
      return;
    }
    scene_.world.Fail(11,
                      absl::StrCat(after->instance().name(), " on ", after->instance().node(),
                                   " should run no longer"),
                      "an operator's wish, or an end, behind it");
  }

 private:
  bool HasCause(const rec::InstanceRecord& before, const rec::InstanceRecord& after) const {
    const Durable& durable = scene_.disk.durable;
    const api::Instance& instance = after.instance();
    if (instance.setup() || before.instance().state() >= api::INSTANCE_STATE_EXITED) return true;
    if (instance.state() >= api::INSTANCE_STATE_EXITED || IsReplaced(after)) return true;
    const auto app = durable.apps.find(entry::AppOf(instance.name()));
    if (app == durable.apps.end() || app->second.app().has_delete_time()) return true;
    const api::AppSpec& spec = app->second.app().spec();
    const int replicas = spec.has_replicas() ? spec.replicas() : 1;
    if (spec.run_state() == api::RUN_STATE_STOPPED || instance.slot() >= replicas) return true;
    if (instance.revision() != app->second.target_revision()) return true;
    const auto node = durable.nodes.find("nodes/" + instance.node());
    if (node == durable.nodes.end()) return true;
    return node->second.node().desired() == api::NODE_DESIRED_DRAINED || HasTwin(instance);
  }

  static bool IsReplaced(const rec::InstanceRecord& record);

  // The slot has another one: one of the two has to go.
  bool HasTwin(const api::Instance& instance) const {
    const std::string app = entry::AppOf(instance.name()) + "/instances/";
    const auto& rows = scene_.disk.durable.instances;
    for (auto it = rows.lower_bound(app); it != rows.end() && it->first.starts_with(app); ++it) {
      const api::Instance& other = it->second.instance();
      if (other.uid() != instance.uid() && other.slot() == instance.slot() &&
          other.environment() == instance.environment() && !other.setup()) {
        return true;
      }
    }
    return false;
  }

  void Fail(int node, const agent::ProcessId& id, const std::string& what) {
    scene_.world.Fail(
        11, absl::StrCat(id.instance_uid, " attempt ", id.attempt, " on n", node + 1, " ", what),
        "no stop that no statement asked for");
  }

  Scene& scene_;
  std::set<std::string> reasons_;
  std::map<std::string, std::string> statements_;
};

bool NoStops::IsReplaced(const rec::InstanceRecord& record) {
  const auto* field = record.GetDescriptor()->FindFieldByName("loss");
  return field != nullptr && record.GetReflection()->GetEnumValue(record, field) != 0;
}

}  // namespace

std::unique_ptr<Observer> MakeNoStops(Scene& scene) { return std::make_unique<NoStops>(scene); }

}  // namespace appsup::simulation
