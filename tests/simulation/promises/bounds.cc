// 9: no peer can make another's memory grow without bound.
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

constexpr size_t kMaxMessage = size_t{1} << 20;
constexpr size_t kMaxHeldEffects = 2'000;
constexpr size_t kMaxRequests = 500;  // To a keeper that does not answer.

class Bounds : public Observer {
 public:
  explicit Bounds(Scene& scene) : scene_(scene) {}

  void OnEntrySays(StreamId stream, int node, const api::ConnectResponse& message) override {
    if (!entry_writes_.insert(stream).second) {
      scene_.world.Fail(9, absl::StrCat("two messages to n", node + 1, " are under way"), "one");
    }
    Measure(message, "the entry");
  }
  void OnEntryWritable(StreamId stream) override { entry_writes_.erase(stream); }

  void OnAgentSays(int node, StreamId stream, const api::ConnectRequest& message) override {
    const auto writes = agent_writes_.find(node);
    if (writes != agent_writes_.end() && writes->second == stream) {
      scene_.world.Fail(9, absl::StrCat("two messages of n", node + 1, " are under way"), "one");
    }
    agent_writes_[node] = stream;
    Measure(message, absl::StrCat("n", node + 1));
    const AgentHost& agent = *scene_.agents[static_cast<size_t>(node)];
    if (agent.core()->figures().held_effects > kMaxHeldEffects) {
      scene_.world.Fail(9, absl::StrCat("n", node + 1, " holds too many effects"),
                        absl::StrCat("at most ", kMaxHeldEffects));
    }
    if (agent.waiting_for_keeper() > kMaxRequests) {
      scene_.world.Fail(9, absl::StrCat("too many requests of n", node + 1, " wait for its keeper"),
                        absl::StrCat("at most ", kMaxRequests));
    }
  }
  void OnAgentWritable(int node) override { agent_writes_.erase(node); }
  void OnAgentStarted(int node) override { agent_writes_.erase(node); }

 private:
  void Measure(const google::protobuf::Message& message, const std::string& who) {
    const size_t size = message.ByteSizeLong();
    if (size <= kMaxMessage) return;
    scene_.world.Fail(9, absl::StrCat(who, " says ", size, " bytes at once"), "at most 1 MiB");
  }

  Scene& scene_;
  std::set<StreamId> entry_writes_;
  std::map<int, StreamId> agent_writes_;
};

}  // namespace

std::unique_ptr<Observer> MakeBounds(Scene& scene) { return std::make_unique<Bounds>(scene); }

}  // namespace appsup::simulation
