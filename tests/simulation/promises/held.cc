// 1, of agents: nothing leaves the entry before the commit that it rests on is durable.
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {
namespace {

class Held : public Observer {
 public:
  explicit Held(Scene& scene) : scene_(scene) {}

  void OnStoreReplaced() override {
    statements_.clear();
    for (const auto& [name, record] : scene_.disk.durable.instances) Keep(record);
  }

  void OnInstanceRow(const rec::InstanceRecord*, const rec::InstanceRecord* after) override {
    if (after != nullptr) Keep(*after);
  }

  void OnEntrySays(StreamId, int node, const api::ConnectResponse& message) override {
    if (message.has_goodbye()) return;
    if (!IsDurable(message.timeline())) {
      return Early(node, "hears timeline " + message.timeline(), "one that is durable");
    }
    if (message.has_welcome()) CheckPosition(node, message.welcome().position());
    if (message.has_assignments()) {
      CheckPosition(node, message.assignments().position());
      for (const auto& one : message.assignments().assignments()) CheckStatement(node, one);
    }
    for (const auto& ack : message.status_ack().instances()) CheckAck(node, ack);
  }

 private:
  void Keep(const rec::InstanceRecord& record) {
    statements_[record.instance().uid()] = {record.generation(), record.digest()};
  }

  bool IsDurable(const std::string& timeline) const {
    for (const rec::Timeline& known : scene_.disk.durable.meta.timelines()) {
      if (known.id() == timeline) return true;
    }
    return false;
  }

  void CheckPosition(int node, const api::Position& position) {
    const int64_t head = scene_.disk.durable.head();
    if (position.log_index() <= head) return;
    Early(node, absl::StrCat("hears of index ", position.log_index()),
          absl::StrCat("at most the durable ", head));
  }

  // The removal of what the catalog does not know rests on nothing. A row may be gone by now.
  void CheckStatement(int node, const api::Assignment& assignment) {
    if (assignment.name().empty()) return;
    const auto durable = statements_.find(assignment.uid());
    const int64_t newest = durable == statements_.end() ? 0 : durable->second.first;
    const bool same = assignment.generation() == newest;
    if (assignment.generation() < newest || (same && assignment.digest() == durable->second.second))
      return;
    Early(node,
          absl::StrCat("is told statement ", assignment.generation(), " of ", assignment.name()),
          absl::StrCat("the durable one, ", newest));
  }

  // Reports on instances of other nodes are not taken, and those of what is gone are done with.
  void CheckAck(int node, const api::StatusAck::Entry& ack) {
    const Durable& durable = scene_.disk.durable;
    const auto name = durable.instance_by_uid.find(ack.uid());
    if (name == durable.instance_by_uid.end()) return;
    const api::Instance& instance = durable.instances.at(name->second).instance();
    if (instance.node() != scene_.agents[static_cast<size_t>(node)]->id()) return;
    // That it is gone is known, however often it is said.
    if (instance.state() == api::INSTANCE_STATE_REMOVED) return;
    const std::pair has(instance.attempt(), instance.sequence());
    if (std::pair(ack.attempt(), ack.sequence()) <= has) return;
    Early(node,
          absl::StrCat("hears that attempt ", ack.attempt(), " sequence ", ack.sequence(), " of ",
                       instance.name(), " is kept"),
          absl::StrCat("the durable attempt ", has.first, " sequence ", has.second));
  }

  void Early(int node, const std::string& seen, const std::string& expected) {
    scene_.world.Fail(1, absl::StrCat("n", node + 1, " ", seen), expected);
  }

  Scene& scene_;
  // By uid of the instance, also of those whose row is gone: generation and digest.
  std::map<std::string, std::pair<int64_t, std::string>> statements_;
};

}  // namespace

std::unique_ptr<Observer> MakeHeld(Scene& scene) { return std::make_unique<Held>(scene); }

}  // namespace appsup::simulation
