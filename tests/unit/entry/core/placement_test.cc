#include "entry/core/placement.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <list>

#include "fmt/format.h"

namespace appsup::entry {
namespace {

namespace api = ::appsupervisor::v1;

constexpr int64_t kMiB = int64_t{1} << 20;

// Nodes of one environment, and an app that looks for room there.
class Land {
 public:
  struct Place {
    api::Node node;
    NodeUse::Use use;
    bool connected = true;
  };

  Land() { spec.mutable_resources()->mutable_memory_bytes()->set_reserve(512 * kMiB); }

  Place& Add(const std::string& id, int64_t free_memory) {
    Place& place = places.emplace_back();
    place.node.set_name("nodes/" + id);
    place.node.set_environment("eu");
    place.node.mutable_status()->set_state(api::NODE_STATE_READY);
    place.node.mutable_status()->mutable_capacity()->set_memory_bytes(4096 * kMiB);
    place.node.mutable_status()->add_drivers()->set_name("process");
    place.use.reserved.set_memory_bytes(4096 * kMiB - free_memory);
    return place;
  }

  Placer MakePlacer() const {
    std::vector<NodeView> views;
    for (const Place& place : places) views.push_back({&place.node, &place.use, place.connected});
    Placer placer(spec, placement, false, 128 * kMiB);
    placer.AddEnvironment("eu", views);
    return placer;
  }

  // Id of the node, or reason and message.
  std::string Ask(PlacementRequest request = {}) const {
    Placer placer = MakePlacer();
    return Ask(placer, request);
  }

  static std::string Ask(Placer& placer, PlacementRequest request = {}) {
    request.environment = "eu";
    PlacementAnswer answer = placer.Place(request);
    if (auto* unplaced = std::get_if<Unplaced>(&answer)) {
      return unplaced->reason + ": " + unplaced->message;
    }
    return std::get<std::string>(answer);
  }

  api::AppSpec spec;
  api::Placement placement;
  std::list<Place> places;
};

TEST_CASE("placement: spread takes the node with the most room, pack the one with the least") {
  Land land;
  land.Add("n1", 1024 * kMiB);
  land.Add("n2", 3072 * kMiB);
  land.Add("n3", 600 * kMiB);
  CHECK(land.Ask() == "n2");
  land.placement.set_strategy(api::PLACEMENT_STRATEGY_PACK);
  CHECK(land.Ask() == "n3");
}

TEST_CASE("placement: spread parts the replicas of an app before it looks for room") {
  Land land;
  land.Add("n1", 3072 * kMiB);
  land.Add("n2", 1024 * kMiB);
  Placer placer = land.MakePlacer();
  placer.CountReplica("eu", "n1");
  CHECK(Land::Ask(placer) == "n2");
  CHECK(Land::Ask(placer) == "n1");
  land.placement.set_strategy(api::PLACEMENT_STRATEGY_PACK);
  Placer packer = land.MakePlacer();
  packer.CountReplica("eu", "n2");
  CHECK(Land::Ask(packer) == "n2");
}

TEST_CASE("placement: equal nodes are taken by name") {
  Land land;
  land.Add("n1", 1024 * kMiB);
  land.Add("n2", 1024 * kMiB);
  CHECK(land.Ask() == "n1");
}

TEST_CASE("placement: each answer is counted before the next") {
  Land land;
  land.Add("n1", 1200 * kMiB);
  land.Add("n2", 1100 * kMiB);
  Placer placer = land.MakePlacer();
  CHECK(Land::Ask(placer) == "n1");
  CHECK(Land::Ask(placer) == "n2");
  CHECK(Land::Ask(placer) == "n1");
  CHECK(Land::Ask(placer) == "n2");
  CHECK(Land::Ask(placer) == "Unplaced: environment eu has 2 nodes; 2 have under 512 MiB free");
}

TEST_CASE("placement: a slot stays where it was if it fits there") {
  Land land;
  land.Add("n1", 1024 * kMiB);
  land.Add("n2", 3072 * kMiB);
  PlacementRequest request;
  request.former_node = "n1";
  CHECK(land.Ask(request) == "n1");
  land.places.front().use.reserved.set_memory_bytes(4000 * kMiB);
  CHECK(land.Ask(request) == "n2");
}

TEST_CASE("placement: the refusal names figures for every node") {
  Land land;
  land.Add("n1", 100 * kMiB);
  land.Add("n2", 200 * kMiB);
  land.Add("n3", 3000 * kMiB).node.set_desired(api::NODE_DESIRED_DRAINED);
  CHECK(land.Ask() ==
        "Unplaced: environment eu has 3 nodes; 2 have under 512 MiB free, 1 is draining");
}

TEST_CASE("placement: an environment without nodes is named") {
  CHECK(Land().Ask() == "NoNodes: environment eu has no nodes");
}

TEST_CASE("placement: each filter keeps an app from a node and says so") {
  Land land;
  Land::Place& place = land.Add("n1", 3000 * kMiB);
  api::Node& node = place.node;
  std::string why;
  SECTION("lost") {
    node.mutable_status()->set_state(api::NODE_STATE_LOST);
    why = "1 does not answer";
  }
  SECTION("revoked") {
    node.mutable_status()->set_state(api::NODE_STATE_REVOKED);
    why = "1 is revoked";
  }
  SECTION("never connected") {
    node.mutable_status()->set_state(api::NODE_STATE_UNSPECIFIED);
    why = "1 has never connected";
  }
  SECTION("away") {
    place.connected = false;
    why = "1 is not connected";
  }
  SECTION("unschedulable") {
    node.set_schedulable(false);
    why = "1 is not schedulable";
  }
  SECTION("selector") {
    (*land.placement.mutable_node_selector())["disk"] = "ssd";
    (*node.mutable_labels())["disk"] = "hdd";
    why = "1 has not the label disk=ssd";
  }
  SECTION("driver") {
    node.mutable_status()->clear_drivers();
    why = "1 cannot host processes";
  }
  SECTION("enforcement") {
    land.spec.mutable_resources()->set_enforce(api::LIMIT_ENFORCEMENT_REQUIRED);
    land.spec.mutable_resources()->mutable_memory_bytes()->set_limit(kMiB);
    why = "1 cannot enforce the memory limit";
  }
  SECTION("cpu") {
    node.mutable_status()->mutable_capacity()->set_cpu_millis(1000);
    place.use.reserved.set_cpu_millis(600);
    land.spec.mutable_resources()->mutable_cpu_millis()->set_reserve(500);
    why = "1 has under 500m of CPU free";
  }
  SECTION("pids") {
    node.mutable_status()->mutable_capacity()->set_pids(100);
    land.spec.mutable_resources()->mutable_pids()->set_reserve(200);
    why = "1 has under 200 process ids free";
  }
  SECTION("port") {
    land.spec.add_ports()->set_number(8080);
    place.use.ports[{8080, api::PORT_PROTOCOL_TCP}] = 1;
    why = "1 has port 8080 in use";
  }
  CHECK(land.Ask() == "Unplaced: environment eu has 1 node; " + why);
}

TEST_CASE("placement: a limit that the driver enforces may be required") {
  Land land;
  land.spec.mutable_resources()->set_enforce(api::LIMIT_ENFORCEMENT_REQUIRED);
  land.spec.mutable_resources()->mutable_memory_bytes()->set_limit(kMiB);
  Land::Place& place = land.Add("n1", 3000 * kMiB);
  place.node.mutable_status()->mutable_drivers(0)->add_enforces("memory");
  CHECK(land.Ask() == "n1");
}

TEST_CASE("placement: a fixed port takes one node per slot, udp and tcp apart") {
  Land land;
  land.spec.add_ports()->set_number(53);
  land.Add("n1", 3000 * kMiB).use.ports[{53, api::PORT_PROTOCOL_UDP}] = 1;
  Placer placer = land.MakePlacer();
  CHECK(Land::Ask(placer) == "n1");
  CHECK(Land::Ask(placer) == "Unplaced: environment eu has 1 node; 1 has port 53 in use");
}

TEST_CASE("placement: what the slot's own old instance holds counts as free if it stops first") {
  Land land;
  api::AppSpec& spec = land.spec;
  spec.add_ports()->set_number(8080);
  land.Add("n1", 3000 * kMiB).use.ports[{8080, api::PORT_PROTOCOL_TCP}] = 1;
  PlacementRequest request;
  request.former_node = "n1";
  CHECK(land.Ask(request).starts_with("Unplaced"));
  request.released_ports = &spec.ports();
  CHECK(land.Ask(request) == "n1");
}

TEST_CASE("placement: a slot with data goes nowhere else, but may go on where it is") {
  Land land;
  Land::Place& home = land.Add("n1", 3000 * kMiB);
  land.Add("n2", 3000 * kMiB);
  PlacementRequest request;
  request.former_node = "n1";
  request.bound = true;
  CHECK(land.Ask(request) == "n1");
  home.node.set_desired(api::NODE_DESIRED_DRAINED);
  CHECK(land.Ask(request) == "n1");
  home.use.reserved.set_memory_bytes(4000 * kMiB);
  CHECK(land.Ask(request) ==
        "DataElsewhere: the slot's data is on node n1, which has under 512 MiB free");
  home.node.mutable_status()->set_state(api::NODE_STATE_LOST);
  CHECK(land.Ask(request) == "DataElsewhere: the slot's data is on node n1, which does not answer");
  request.former_node = "n9";
  CHECK(land.Ask(request) ==
        "DataElsewhere: the slot's data is on node n9, which is not in environment eu any more");
}

TEST_CASE("placement: memory counts 128 MiB when no reserve is set") {
  Land land;
  land.spec.clear_resources();
  land.Add("n1", 100 * kMiB);
  CHECK(land.Ask() == "Unplaced: environment eu has 1 node; 1 has under 128 MiB free");
}

TEST_CASE("placement: a refused environment gives its own answer") {
  Land land;
  Placer placer(land.spec, land.placement, false, kMiB);
  placer.RefuseEnvironment("eu", {"NotAllowed", "environment eu does not admit project p"});
  CHECK(Land::Ask(placer) == "NotAllowed: environment eu does not admit project p");
}

TEST_CASE("placement: 1,000 slots find their place on 300 nodes quickly, and are spread evenly") {
  Land land;
  land.spec.mutable_resources()->mutable_memory_bytes()->set_reserve(kMiB);
  for (int i = 0; i < 300; ++i) land.Add(fmt::format("n{:03}", i), 4096 * kMiB);
  Placer placer = land.MakePlacer();
  std::map<std::string, int> counts;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) ++counts[Land::Ask(placer)];
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(counts.size() == 300);
  for (const auto& [node, count] : counts) CHECK((count == 3 || count == 4));
  CHECK(took < std::chrono::seconds(1));
}

}  // namespace
}  // namespace appsup::entry
