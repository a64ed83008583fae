#include "entry/core/placement.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/text_units.h"
#include "fmt/format.h"

namespace appsup::entry {

namespace api = ::appsupervisor::v1;

namespace {

constexpr char kProcessDriver[] = "process";

// "512 MiB": for people, unlike the form that config files use.
std::string Amount(int64_t bytes) {
  std::string text = FormatBytes(bytes);
  const size_t unit = text.find_first_not_of("0123456789");
  if (unit != std::string::npos) text.insert(unit, " ");
  return text;
}

const api::DriverInfo* FindDriver(const api::Node& node) {
  for (const api::DriverInfo& driver : node.status().drivers()) {
    if (driver.name() == kProcessDriver) return &driver;
  }
  return nullptr;
}

bool Enforces(const api::DriverInfo& driver, const char* limit) {
  const auto& enforces = driver.enforces();
  return std::find(enforces.begin(), enforces.end(), limit) != enforces.end();
}

// The first limit of the spec that the driver cannot enforce, or "".
std::string UnenforcedLimit(const api::Resources& resources, const api::DriverInfo& driver) {
  if (resources.enforce() != api::LIMIT_ENFORCEMENT_REQUIRED) return "";
  if (resources.cpu_millis().limit() > 0 && !Enforces(driver, "cpu")) return "cpu";
  if (resources.memory_bytes().limit() > 0 && !Enforces(driver, "memory")) return "memory";
  if (resources.pids().limit() > 0 && !Enforces(driver, "pids")) return "pids";
  return "";
}

// A capacity of 0 was not told: it limits nothing.
bool Exceeds(int64_t needed, int64_t free, int64_t capacity) {
  return needed > 0 && capacity > 0 && needed > free;
}

// Share of the node that is free once the instance is there: the scarcest resource decides.
double FreeShare(const api::ResourceTotals& free, const api::ResourceTotals& needed,
                 const api::ResourceTotals& capacity) {
  double share = 1;
  if (capacity.memory_bytes() > 0) {
    share = std::min(share, static_cast<double>(free.memory_bytes() - needed.memory_bytes()) /
                                static_cast<double>(capacity.memory_bytes()));
  }
  if (capacity.cpu_millis() > 0) {
    share = std::min(share, static_cast<double>(free.cpu_millis() - needed.cpu_millis()) /
                                static_cast<double>(capacity.cpu_millis()));
  }
  return share;
}

std::string NodeId(const api::Node& node) { return node.name().substr(node.name().rfind('/') + 1); }

bool IsReleased(const PlacementRequest& request, const NodeUse::PortKey& port) {
  if (request.released_ports == nullptr) return false;
  return std::any_of(request.released_ports->begin(), request.released_ports->end(),
                     [&](const api::Port& held) { return NodeUse::KeyOf(held) == port; });
}

// "2 have under 512 MiB free" from the sentence for one, "has under 512 MiB free".
std::string ForMany(int count, const std::string& predicate) {
  static const std::pair<std::string, std::string> kPlurals[] = {{"has ", "have "},
                                                                 {"is ", "are "},
                                                                 {"does ", "do "},
                                                                 {"was ", "were "},
                                                                 {"cannot ", "cannot "}};
  if (count != 1) {
    for (const auto& [one, many] : kPlurals) {
      if (predicate.starts_with(one)) {
        return fmt::format("{} {}{}", count, many, predicate.substr(one.size()));
      }
    }
  }
  return fmt::format("{} {}", count, predicate);
}

}  // namespace

api::ResourceTotals ReserveOf(const api::AppSpec& spec, int64_t default_memory_reserve) {
  const api::Resources& resources = spec.resources();
  api::ResourceTotals totals;
  totals.set_cpu_millis(resources.cpu_millis().reserve());
  totals.set_memory_bytes(resources.memory_bytes().reserve());
  if (totals.memory_bytes() == 0) totals.set_memory_bytes(default_memory_reserve);
  totals.set_pids(resources.pids().reserve());
  return totals;
}

bool CanFence(const api::Node& node) {
  const api::DriverInfo* driver = FindDriver(node);
  return driver != nullptr && Enforces(*driver, "deadline");
}

Placer::Placer(const api::AppSpec& spec, const api::Placement& placement, bool fenced,
               int64_t default_memory_reserve)
    : spec_(spec),
      placement_(placement),
      fenced_(fenced),
      needed_(ReserveOf(spec, default_memory_reserve)) {
  for (const api::Port& port : spec.ports()) {
    if (port.number() != 0) ports_.push_back(NodeUse::KeyOf(port));
  }
}

void Placer::RefuseEnvironment(const std::string& environment, Unplaced why) {
  rooms_[environment].refused = std::move(why);
}

void Placer::CountReplica(const std::string& environment, const std::string& node_id) {
  for (Candidate& candidate : rooms_[environment].candidates) {
    if (candidate.id == node_id) ++candidate.replicas;
  }
}

void Placer::AddEnvironment(const std::string& environment, const std::vector<NodeView>& nodes) {
  Room& room = rooms_[environment];
  room.candidates.reserve(nodes.size());
  for (const NodeView& view : nodes) {
    Candidate candidate{view.node, NodeId(*view.node), view.node->status().capacity(), {}, ""};
    const api::ResourceTotals& used = view.use->reserved;
    candidate.free.set_cpu_millis(candidate.free.cpu_millis() - used.cpu_millis());
    candidate.free.set_memory_bytes(candidate.free.memory_bytes() - used.memory_bytes());
    candidate.free.set_pids(candidate.free.pids() - used.pids());
    for (const NodeUse::PortKey& port : ports_) {
      if (view.use->ports.count(port) > 0) candidate.taken.push_back(port);
    }
    candidate.refusal = Refusal(view, &candidate.bound_only);
    room.candidates.push_back(std::move(candidate));
  }
}

std::string Placer::Refusal(const NodeView& view, bool* bound_only) const {
  const api::Node& node = *view.node;
  const api::NodeState state = node.status().state();
  if (state == api::NODE_STATE_REVOKED) return "is revoked";
  if (state == api::NODE_STATE_UNSPECIFIED) return "has never connected";
  if (state == api::NODE_STATE_LOST) return "does not answer";
  if (!view.connected) return "is not connected";
  for (const auto& [key, value] : placement_.node_selector()) {
    auto label = node.labels().find(key);
    if (label == node.labels().end() || label->second != value) {
      return fmt::format("has not the label {}={}", key, value);
    }
  }
  const api::DriverInfo* driver = FindDriver(node);
  if (driver == nullptr) return "cannot host processes";
  if (std::string limit = UnenforcedLimit(spec_.resources(), *driver); !limit.empty()) {
    return fmt::format("cannot enforce the {} limit", limit);
  }
  if (fenced_ && !CanFence(node)) return "cannot stop a process when its lease ends";
  *bound_only = true;
  if (node.desired() == api::NODE_DESIRED_DRAINED) return "is draining";
  if (node.has_schedulable() && !node.schedulable()) return "is not schedulable";
  *bound_only = false;
  return "";
}

Placer::Lack Placer::FindLack(const Candidate& candidate, const PlacementRequest& request) const {
  const api::ResourceTotals& capacity = candidate.node->status().capacity();
  const bool former = request.released_ports != nullptr && candidate.id == request.former_node;
  for (const NodeUse::PortKey& port : candidate.taken) {
    if (!former || !IsReleased(request, port)) return {Lack::kPort, port.first};
  }
  if (Exceeds(needed_.memory_bytes(), candidate.free.memory_bytes(), capacity.memory_bytes())) {
    return {Lack::kMemory, 0};
  }
  if (Exceeds(needed_.cpu_millis(), candidate.free.cpu_millis(), capacity.cpu_millis())) {
    return {Lack::kCpu, 0};
  }
  if (Exceeds(needed_.pids(), candidate.free.pids(), capacity.pids())) return {Lack::kPids, 0};
  return {};
}

// The predicate of a sentence on the node, or "".
std::string Placer::Describe(const Lack& lack) const {
  switch (lack.kind) {
    case Lack::kNothing:
      return "";
    case Lack::kPort:
      return fmt::format("has port {} in use", lack.port);
    case Lack::kMemory:
      return fmt::format("has under {} free", Amount(needed_.memory_bytes()));
    case Lack::kCpu:
      return fmt::format("has under {} of CPU free", FormatCpu(needed_.cpu_millis()));
    case Lack::kPids:
      return fmt::format("has under {} process ids free", needed_.pids());
  }
  return "";
}

Placer::Candidate* Placer::Best(Room& room, const PlacementRequest& request) {
  const bool pack = placement_.strategy() == api::PLACEMENT_STRATEGY_PACK;
  Candidate* best = nullptr;
  double best_share = 0;
  for (Candidate& candidate : room.candidates) {
    const bool former = candidate.id == request.former_node;
    if (request.bound && !former) continue;
    if (!candidate.refusal.empty() && !(request.bound && candidate.bound_only)) continue;
    if (FindLack(candidate, request).kind != Lack::kNothing) continue;
    if (former) return &candidate;
    const double share = FreeShare(candidate.free, needed_, candidate.node->status().capacity());
    const bool fewer = best != nullptr && candidate.replicas < best->replicas;
    const bool as_many = best != nullptr && candidate.replicas == best->replicas;
    if (best == nullptr || (pack ? share < best_share : fewer || (as_many && share > best_share))) {
      best = &candidate;
      best_share = share;
    }
  }
  return best;
}

void Placer::Take(Candidate& candidate) {
  candidate.free.set_cpu_millis(candidate.free.cpu_millis() - needed_.cpu_millis());
  candidate.free.set_memory_bytes(candidate.free.memory_bytes() - needed_.memory_bytes());
  candidate.free.set_pids(candidate.free.pids() - needed_.pids());
  candidate.taken = ports_;
  ++candidate.replicas;
}

PlacementAnswer Placer::Place(const PlacementRequest& request) {
  auto found = rooms_.find(request.environment);
  APPSUP_CHECK(found != rooms_.end());
  Room& room = found->second;
  if (!room.refused.reason.empty()) return room.refused;
  const bool plain = !request.bound && request.released_ports == nullptr;
  if (plain && room.full) return room.full_because;
  Candidate* best = Best(room, request);
  if (best != nullptr) {
    Take(*best);
    return best->id;
  }
  if (request.bound) return ExplainBound(room, request);
  Unplaced why = Explain(room, request);
  if (plain) {
    room.full = true;
    room.full_because = why;
  }
  return why;
}

Unplaced Placer::Explain(const Room& room, const PlacementRequest& request) const {
  if (room.candidates.empty()) {
    return {"NoNodes", fmt::format("environment {} has no nodes", request.environment)};
  }
  std::map<std::string, int> counts;
  for (const Candidate& candidate : room.candidates) {
    ++counts[candidate.refusal.empty() ? Describe(FindLack(candidate, request))
                                       : candidate.refusal];
  }
  std::vector<std::pair<std::string, int>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string why;
  for (const auto& [predicate, count] : sorted) {
    if (!why.empty()) why += ", ";
    why += ForMany(count, predicate);
  }
  const size_t nodes = room.candidates.size();
  return {"Unplaced", fmt::format("environment {} has {} {}; {}", request.environment, nodes,
                                  nodes == 1 ? "node" : "nodes", why)};
}

Unplaced Placer::ExplainBound(const Room& room, const PlacementRequest& request) const {
  std::string why = "is not in environment " + request.environment + " any more";
  for (const Candidate& candidate : room.candidates) {
    if (candidate.id != request.former_node) continue;
    const bool refused = !candidate.refusal.empty() && !candidate.bound_only;
    why = refused ? candidate.refusal : Describe(FindLack(candidate, request));
  }
  return {"DataElsewhere",
          fmt::format("the slot's data is on node {}, which {}", request.former_node, why)};
}

}  // namespace appsup::entry
