// 5: a deposed leader changes nothing and keeps nothing alive.
#include <map>

#include "absl/strings/str_cat.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

class Epochs : public Observer {
 public:
  explicit Epochs(Scene& scene) : scene_(scene) {}

  void OnCommitted(const entry::Transaction& transaction, int64_t epoch) override {
    if (epoch == scene_.disk.durable.epoch()) return;
    scene_.world.Fail(5, absl::StrCat("epoch ", epoch, " wrote index ", transaction.last_index),
                      absl::StrCat("only epoch ", scene_.disk.durable.epoch(), " writes"));
  }

  void OnStoreReplaced() override { highest_.clear(); }
  void OnJournalLost(int node) override { highest_.erase(node); }

  // What it had heard and not written down is forgotten.
  void OnAgentStarted(int node) override {
    heard_.erase(node);
    highest_.erase(node);
    const auto& rows = scene_.agents[static_cast<size_t>(node)]->journal().contents().node;
    appsupervisor::agent::v1::NodeRecord record;
    const auto row = rows.find("node");
    if (row != rows.end()) record.ParseFromString(row->second);
    if (record.timelines().empty()) return;
    // Of another history, maybe: then the epochs cannot be compared.
    const auto& newest = *record.timelines().rbegin();
    for (const rec::Timeline& known : scene_.disk.durable.meta.timelines()) {
      if (known.id() == newest.timeline()) highest_[node] = newest.epoch();
    }
  }

  void OnAgentHears(int node, const api::ConnectResponse& message) override {
    if (message.has_goodbye()) return;
    heard_[node] = message.epoch();
    int64_t& highest = highest_[node];
    highest = std::max(highest, message.epoch());
  }

  void OnAgentSays(int node, StreamId, const api::ConnectRequest& message) override {
    if (message.has_hello()) heard_.erase(node);
    const auto heard = heard_.find(node);
    if (heard == heard_.end() || heard->second >= highest_[node]) return;
    scene_.world.Fail(5, absl::StrCat("n", node + 1, " answers an entry of epoch ", heard->second),
                      absl::StrCat("nothing to an epoch below ", highest_[node]));
  }

 private:
  Scene& scene_;
  std::map<int, int64_t> highest_;
  std::map<int, int64_t> heard_;  // In the present session.
};

}  // namespace

std::unique_ptr<Observer> MakeEpochs(Scene& scene) { return std::make_unique<Epochs>(scene); }

}  // namespace appsup::simulation
