// 11: a crash, restart, upgrade or outage of agent or entry stops no app.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/core/instance.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

namespace agent_rec = ::appsupervisor::agent::v1;

constexpr char kEnd[] = "end";

class NoStops : public Observer {
 public:
  explicit NoStops(Scene& scene) : scene_(scene) {}

  void OnAgentHears(int node, const api::ConnectResponse& message) override {
    for (const api::Assignment& assignment : message.assignments().assignments()) {
      Told& told = told_[assignment.uid()];
      told.node = node;
      std::string statement = StatementOf(assignment);
      if (told.heard.empty() || told.heard.back() != statement) {
        told.heard.push_back(std::move(statement));
      }
    }
  }

  // A new process is under way: what was said until now is no reason to stop this one, too.
  void OnAsked(int node, const agent::StartProcess& start) override {
    const agent::ProcessId& id = start.request.id;
    if (id.kind != agent::ProcessKind::kMain) return;
    const auto record = scene_.Journalled(node, id.instance_uid);
    Told& told = told_[id.instance_uid];
    if (!record || told.heard.empty()) return;
    told.started[id.attempt] = StartedUnder(told, *record);
    told.surely = told.started[id.attempt];
    told.torn = false;
  }

  void OnAsked(int node, const agent::StopProcess& stop) override {
    if (stop.id.kind != agent::ProcessKind::kMain) return;
    if (!HasReason(stop.id)) return Fail(node, stop.id, "is told to stop");
    Ends(node, stop.id);
  }

  void OnAsked(int node, const agent::KillProcess& kill) override {
    if (kill.id.kind != agent::ProcessKind::kMain) return;
    const Tree* tree = scene_.agents[static_cast<size_t>(node)]->keeper().FindRunning(
        kill.id.instance_uid, kill.id.attempt);
    if (tree == nullptr) return;
    if (!HasReason(kill.id)) return Fail(node, kill.id, "is killed");
    Ends(node, kill.id);
  }

  void OnJournalLost(int node) override {
    for (auto& [uid, told] : told_) {
      if (told.node == node) told.surely = 0;
    }
  }

  // A node that lost what it had noted of an instance may have to start it anew.
  void OnJournalTorn(int, const std::vector<agent::JournalPut>& rows) override {
    for (const agent::JournalPut& row : rows) {
      if (row.table != agent::JournalTable::kInstance) continue;
      told_[row.key].torn = true;
      told_[row.key].surely = 0;
    }
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
  // What entries have said to an instance. Each change is a reason to stop what was started before,
  // until a process has been started under it; and again if that one is told to stop once more.
  struct Told {
    int node = 0;
    std::vector<std::string> heard;     // Each differs from the one before.
    std::map<int64_t, size_t> started;  // By attempt: under which of them.
    std::set<int64_t> ends;             // Attempts that have been told to stop, with a reason.
    size_t surely = 0;                  // Later attempts are not started under an older one.
    bool torn = false;                  // The journal forgot something of it since the last start.
  };

  static std::string StatementOf(const api::Assignment& assignment) {
    if (assignment.desired() != api::DESIRED_STATE_RUN) return kEnd;
    return absl::StrCat(assignment.restart_nonce(), "|", agent::SpecDigest(assignment));
  }

  // The one that the agent holds, as long as none came between its decision and its request. What
  // it says of that itself counts only if somebody did say it, and not before its last process.
  static size_t StartedUnder(const Told& told, const agent_rec::InstanceRecord& record) {
    const std::string decided =
        absl::StrCat(record.open().restart_nonce(), "|", record.open().spec_digest());
    const std::string held = StatementOf(record.assignment());
    size_t under = Newest(told.heard, held, 0).value_or(told.heard.size() - 1);
    if (held != decided) under = Newest(told.heard, decided, told.surely).value_or(under);
    return under;
  }

  static std::optional<size_t> Newest(const std::vector<std::string>& heard,
                                      const std::string& statement, size_t from) {
    for (size_t i = heard.size(); i-- > from;) {
      if (heard[i] == statement) return i;
    }
    return std::nullopt;
  }

  bool HasReason(const agent::ProcessId& id) const {
    const auto it = told_.find(id.instance_uid);
    if (it == told_.end() || it->second.heard.empty()) return false;
    const Told& told = it->second;
    const auto under = told.started.find(id.attempt);
    return told.heard.back() == kEnd || told.ends.contains(id.attempt) || told.torn ||
           (under != told.started.end() && under->second + 1 < told.heard.size());
  }

  // What comes after it is started under what is known now.
  void Ends(int node, const agent::ProcessId& id) {
    Told& told = told_[id.instance_uid];
    told.ends.insert(id.attempt);
    const auto record = scene_.Journalled(node, id.instance_uid);
    if (!record) return;
    told.surely = Newest(told.heard, StatementOf(record->assignment()), 0).value_or(told.surely);
  }

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
  std::map<std::string, Told> told_;  // By uid of the instance.
};

bool NoStops::IsReplaced(const rec::InstanceRecord& record) {
  const auto* field = record.GetDescriptor()->FindFieldByName("loss");
  return field != nullptr && record.GetReflection()->GetEnumValue(record, field) != 0;
}

}  // namespace

std::unique_ptr<Observer> MakeNoStops(Scene& scene) { return std::make_unique<NoStops>(scene); }

}  // namespace appsup::simulation
