#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "appsupervisor/store/v1/record.pb.h"
#include "entry/core/node_use.h"

namespace appsup::entry {

// A node as placement sees it. The pointers live as long as the placer.
struct NodeView {
  const appsupervisor::v1::Node* node = nullptr;
  const NodeUse::Use* use = nullptr;
  bool connected = false;  // Its session is open and its lease runs.
};

// Why a slot has no node.
struct Unplaced {
  std::string reason;   // One CamelCase word: NoNodes, Unplaced, DataElsewhere, …
  std::string message;  // "environment eu has 3 nodes; 2 have under 512 MiB free, 1 is draining"
};

struct PlacementRequest {
  std::string environment;
  std::string former_node;  // Id; preferred if it fits. Empty: none.
  bool bound = false;       // Only the former node will do: the slot's data is there.
  // These ports count as free on the former node: the slot's own old instance, which holds them
  // there, stops first.
  const google::protobuf::RepeatedPtrField<appsupervisor::v1::Port>* released_ports = nullptr;
};

// Id of the chosen node, or why there is none.
using PlacementAnswer = std::variant<std::string, Unplaced>;

// Chooses nodes for the instances of one revision of one app. What does not change from slot to
// slot is filtered once; each answer is counted before the next. Pure. Filters: environment,
// selector, driver, enforcement, state, fixed ports, free resources. Score: stay; then SPREAD: the
// fewest replicas of the app, then the most room; PACK: the least room; then name. Core thread
// only.
class Placer {
 public:
  // `spec` holds the revision's fields; `placement` is the app's. `fenced`: only on nodes that can
  // end a process at a deadline.
  Placer(const appsupervisor::v1::AppSpec& spec, const appsupervisor::v1::Placement& placement,
         bool fenced, int64_t default_memory_reserve);

  // Brings in the nodes of one environment, once, before anything is asked about it.
  void AddEnvironment(const std::string& environment, const std::vector<NodeView>& nodes);
  // Every question about this environment gets this answer.
  void RefuseEnvironment(const std::string& environment, Unplaced why);
  // The app has a replica on this node already; nodes that are not known are passed over.
  void CountReplica(const std::string& environment, const std::string& node_id);
  bool Knows(const std::string& environment) const { return rooms_.count(environment) > 0; }

  PlacementAnswer Place(const PlacementRequest& request);

 private:
  struct Candidate {
    const appsupervisor::v1::Node* node;
    std::string id;
    appsupervisor::v1::ResourceTotals free;  // Less than 0 is possible: a reserve is a promise.
    std::vector<NodeUse::PortKey> taken;     // Ports of the request that are in use.
    std::string refusal;                     // Not empty: why it gets nothing new ("is draining").
    bool bound_only = false;                 // Refused, but a slot whose data is there may go on.
    int replicas = 0;                        // Of the app, here.
  };
  // What keeps a request from a node that is otherwise fit.
  struct Lack {
    enum Kind { kNothing, kPort, kMemory, kCpu, kPids } kind = kNothing;
    int32_t port = 0;
  };
  struct Room {
    std::vector<Candidate> candidates;  // By name.
    Unplaced refused;                   // Reason not empty: nothing can be placed here.
    bool full = false;                  // A request without wishes failed.
    Unplaced full_because;
  };

  std::string Refusal(const NodeView& view, bool* bound_only) const;
  Lack FindLack(const Candidate& candidate, const PlacementRequest& request) const;
  std::string Describe(const Lack& lack) const;
  Candidate* Best(Room& room, const PlacementRequest& request);
  void Take(Candidate& candidate);
  Unplaced Explain(const Room& room, const PlacementRequest& request) const;
  Unplaced ExplainBound(const Room& room, const PlacementRequest& request) const;

  const appsupervisor::v1::AppSpec& spec_;
  const appsupervisor::v1::Placement& placement_;
  const bool fenced_;
  appsupervisor::v1::ResourceTotals needed_;
  std::vector<NodeUse::PortKey> ports_;  // Fixed ones.
  std::map<std::string, Room> rooms_;
};

// The node can end a process at a deadline, whatever its agent does.
bool CanFence(const appsupervisor::v1::Node& node);

// What one instance of this revision reserves.
appsupervisor::v1::ResourceTotals ReserveOf(const appsupervisor::v1::AppSpec& spec,
                                            int64_t default_memory_reserve);

}  // namespace appsup::entry
