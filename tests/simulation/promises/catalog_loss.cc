// 10: an empty, foreign or older catalog stops and removes nothing; and data is only removed when
// its app is purged.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

class CatalogLoss : public Observer {
 public:
  explicit CatalogLoss(Scene& scene) : scene_(scene) {}

  void OnAppRow(const rec::AppRecord* before, const rec::AppRecord* after) override {
    if (after == nullptr || after->purge()) {
      purged_.insert((after == nullptr ? before : after)->app().uid());
    }
  }

  // From now on what runs on nodes that come from another history is safe.
  void OnStoreReplaced() override {
    replaced_ = true;
    replaced_with_ = scene_.disk.durable.meta.timelines_size();
    accepted_.clear();
    for (const auto& [name, record] : scene_.disk.durable.nodes) {
      accepted_[name] = AcceptedFor(name);
    }
    for (const AgentHost* agent : scene_.agents) {
      if (IsOnHistory(*agent)) continue;
      for (const Tree* tree : agent->keeper().Trees()) {
        const bool leaves = told_to_end_.contains(tree->id.instance_uid);
        if (tree->id.kind == agent::ProcessKind::kMain && !tree->fenced && !leaves) {
          safe_[agent->node()].insert(tree->id.instance_uid);
        }
      }
    }
  }

  // What the catalog before had asked for is carried out.
  void OnAgentHears(int node, const api::ConnectResponse& message) override {
    const bool former = IsFormer(message.timeline());
    for (const api::Assignment& assignment : message.assignments().assignments()) {
      if (former) safe_[node].erase(assignment.uid());
      if (assignment.desired() == api::DESIRED_STATE_RUN) {
        told_to_end_.erase(assignment.uid());
      } else {
        told_to_end_.insert(assignment.uid());
      }
    }
  }

  // An operator's word is what makes the catalog right for a node, once it is durable.
  void OnCommitted(const entry::Transaction& transaction, int64_t) override {
    for (const entry::RowChange& row : transaction.rows) {
      if (row.table != "node") continue;
      std::string& before = accepted_[row.key];
      const std::string before_that = std::exchange(before, AcceptedFor(row.key));
      if (before.empty() || before == before_that) continue;
      for (const AgentHost* agent : scene_.agents) {
        if (row.key == "nodes/" + agent->id()) safe_.erase(agent->node());
      }
    }
  }

  // The journal is what a node knows its history by.
  void OnJournalLost(int node) override { safe_.erase(node); }

  // What was torn may have been what tells that it comes from another history.
  void OnJournalTorn(int node, const std::vector<agent::JournalPut>& rows) override {
    const bool tells = std::any_of(rows.begin(), rows.end(), [](const agent::JournalPut& row) {
      return row.table == agent::JournalTable::kNode;
    });
    const AgentHost& agent = *scene_.agents[static_cast<size_t>(node)];
    if (tells && NodeRecordOf(agent).guard().empty() && IsOnHistory(agent)) safe_.erase(node);
  }

  void OnAsked(int node, const agent::StopProcess& stop) override {
    Check(node, stop.id.instance_uid, "is told to stop");
  }
  void OnAsked(int node, const agent::KillProcess& kill) override {
    Check(node, kill.id.instance_uid, "is killed");
  }
  void OnAsked(int node, const agent::RemoveFolders& remove) override {
    for (const std::string& path : remove.paths) {
      Check(node, path.substr(path.rfind('/') + 1), "loses its folder");
      CheckData(node, path);
    }
  }

 private:
  // A word of the catalog before, which a slow agent heard late: no entry has said it that was
  // started on the present one.
  bool IsFormer(const std::string& timeline) const {
    if (!replaced_) return false;
    const auto& timelines = scene_.disk.durable.meta.timelines();
    for (int i = replaced_with_; i < timelines.size(); ++i) {
      if (timelines[i].id() == timeline) return false;
    }
    return true;
  }

  static appsupervisor::agent::v1::NodeRecord NodeRecordOf(const AgentHost& agent) {
    const auto& rows = agent.journal().contents().node;
    appsupervisor::agent::v1::NodeRecord record;
    const auto row = rows.find("node");
    if (row != rows.end()) record.ParseFromString(row->second);
    return record;
  }

  // The position that an operator accepted the catalog at; empty: none.
  std::string AcceptedFor(const std::string& node) const {
    const auto row = scene_.disk.durable.nodes.find(node);
    if (row == scene_.disk.durable.nodes.end() || !row->second.has_accepted_position()) return "";
    return absl::StrCat("at ", row->second.accepted_position().SerializeAsString());
  }

  bool IsOnHistory(const AgentHost& agent) const {
    const appsupervisor::agent::v1::NodeRecord record = NodeRecordOf(agent);
    const Durable& durable = scene_.disk.durable;
    if (!record.has_position()) return true;  // It has not been told anything yet.
    if (record.position().catalog_uid() != durable.meta.catalog_uid()) return false;
    const auto& timelines = durable.meta.timelines();
    for (int i = 0; i < timelines.size(); ++i) {
      if (timelines[i].id() != record.position().timeline()) continue;
      const int64_t end =
          i + 1 < timelines.size() ? timelines[i + 1].first_index() : durable.head() + 1;
      return record.position().log_index() < end;
    }
    return false;
  }

  // "/state/data/{app uid}/eu-0".
  void CheckData(int node, const std::string& path) {
    constexpr std::string_view kData = "/state/data/";
    if (!path.starts_with(kData)) return;
    const std::string app = path.substr(kData.size(), path.find('/', kData.size()) - kData.size());
    if (purged_.contains(app)) return;
    scene_.world.Fail(10, absl::StrCat("n", node + 1, " removes ", path),
                      "data to stay until its app is purged");
  }

  void Check(int node, const std::string& uid, const std::string& what) {
    const auto safe = safe_.find(node);
    if (safe == safe_.end() || !safe->second.contains(uid)) return;
    scene_.world.Fail(10, absl::StrCat(uid, " on n", node + 1, " ", what),
                      "nothing to be stopped before the catalog is accepted");
  }

  Scene& scene_;
  bool replaced_ = false;
  int replaced_with_ = 0;  // So many timelines, before any entry was started on it.
  std::map<int, std::set<std::string>> safe_;
  std::map<std::string, std::string> accepted_;  // By name of the node.
  std::set<std::string> told_to_end_;
  std::set<std::string> purged_;  // Uids of apps.
};

}  // namespace

std::unique_ptr<Observer> MakeCatalogLoss(Scene& scene) {
  return std::make_unique<CatalogLoss>(scene);
}

}  // namespace appsup::simulation
