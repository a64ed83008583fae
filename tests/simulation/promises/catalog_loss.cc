// 10: an empty, foreign or older catalog stops and removes nothing.
#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

class CatalogLoss : public Observer {
 public:
  explicit CatalogLoss(Scene& scene) : scene_(scene) {}

  // From now on what runs on nodes that come from another history is safe.
  void OnStoreReplaced() override {
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
  void OnAgentHears(int, const api::ConnectResponse& message) override {
    for (const api::Assignment& assignment : message.assignments().assignments()) {
      if (assignment.desired() == api::DESIRED_STATE_RUN) {
        told_to_end_.erase(assignment.uid());
      } else {
        told_to_end_.insert(assignment.uid());
      }
    }
  }

  void OnReply(const ClientCall& call, const absl::StatusOr<entry::MessagePtr>& reply) override {
    if (!absl::StrContains(call.method, "AcceptCatalog") || !reply.ok()) return;
    const auto* field = call.request->GetDescriptor()->FindFieldByName("name");
    const std::string name = call.request->GetReflection()->GetString(*call.request, field);
    for (const AgentHost* agent : scene_.agents) {
      if (name == "nodes/-" || name == "nodes/" + agent->id()) safe_.erase(agent->node());
    }
  }

  // The journal is what a node knows its history by.
  void OnJournalLost(int node) override { safe_.erase(node); }

  void OnAsked(int node, const agent::StopProcess& stop) override {
    Check(node, stop.id.instance_uid, "is told to stop");
  }
  void OnAsked(int node, const agent::KillProcess& kill) override {
    Check(node, kill.id.instance_uid, "is killed");
  }
  void OnAsked(int node, const agent::RemoveFolders& remove) override {
    for (const std::string& path : remove.paths) {
      Check(node, path.substr(path.rfind('/') + 1), "loses its folder");
    }
  }

 private:
  bool IsOnHistory(const AgentHost& agent) const {
    const auto& rows = agent.journal().contents().node;
    appsupervisor::agent::v1::NodeRecord record;
    const auto row = rows.find("node");
    if (row != rows.end()) record.ParseFromString(row->second);
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

  void Check(int node, const std::string& uid, const std::string& what) {
    const auto safe = safe_.find(node);
    if (safe == safe_.end() || !safe->second.contains(uid)) return;
    scene_.world.Fail(10, absl::StrCat(uid, " on n", node + 1, " ", what),
                      "nothing to be stopped before the catalog is accepted");
  }

  Scene& scene_;
  std::map<int, std::set<std::string>> safe_;
  std::set<std::string> told_to_end_;
};

}  // namespace

std::unique_ptr<Observer> MakeCatalogLoss(Scene& scene) {
  return std::make_unique<CatalogLoss>(scene);
}

}  // namespace appsup::simulation
