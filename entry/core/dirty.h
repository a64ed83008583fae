#pragma once

#include <set>
#include <string>
#include <utility>

namespace appsup::entry {

// Which apps and nodes have to be looked at in the next Flush, and which apps wait for room on a
// node. By name. Core thread only.
class Dirty {
 public:
  void App(const std::string& name) { apps_.insert(name); }
  void Node(const std::string& name) { nodes_.insert(name); }
  // An instance whose statement to its agent changed.
  void Assignment(const std::string& node, const std::string& instance_name) {
    assignments_.emplace(node, instance_name);
  }

  // The app has a slot without a node, or one that cannot leave its node: RoomMade looks again.
  void SetWaitsForRoom(const std::string& app, bool waits) {
    if (waits) {
      waiting_.insert(app);
    } else {
      waiting_.erase(app);
    }
  }
  // A node has more to give than before.
  void RoomMade() { apps_.insert(waiting_.begin(), waiting_.end()); }

  std::set<std::string> TakeApps() { return std::exchange(apps_, {}); }
  std::set<std::string> TakeNodes() { return std::exchange(nodes_, {}); }
  std::set<std::pair<std::string, std::string>> TakeAssignments() {
    return std::exchange(assignments_, {});
  }

  bool empty() const { return apps_.empty() && nodes_.empty() && assignments_.empty(); }

 private:
  std::set<std::string> apps_;
  std::set<std::string> nodes_;
  std::set<std::pair<std::string, std::string>> assignments_;
  std::set<std::string> waiting_;
};

}  // namespace appsup::entry
