#include "entry/core/session_hello.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/digest.h"
#include "common/status.h"
#include "entry/core/instance_facts.h"
#include "entry/core/proto_time.h"
#include "entry/core/statement.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kLeastBetweenHeartbeats = absl::Milliseconds(1);  // Of all agents.

api::Goodbye FinalGoodbye(std::string reason) {
  api::Goodbye goodbye;
  goodbye.set_reason(std::move(reason));
  goodbye.set_final(true);
  return goodbye;
}

void NoteHello(const AgentSession& session, api::NodeStatus& status) {
  const api::Hello& hello = session.hello();
  status.set_address(hello.address());
  *status.mutable_capacity() = hello.capacity();
  *status.mutable_drivers() = hello.drivers();
  *status.mutable_versions() = hello.versions();
  status.set_boot_id(hello.boot_id());
  if (session.connected().certificate_expires > absl::UnixEpoch()) {
    *status.mutable_certificate_expire_time() =
        ToTimestamp(session.connected().certificate_expires);
  }
}

// An instance of which the agent's journal knows nothing counts as not held: to state that it runs
// lets the agent adopt it, and stops nothing.
void AddAdditions(const Catalog& catalog, AgentSession& session) {
  session.WithholdPosition();
  std::set<std::string> held;
  for (const api::HeldInstance& instance : session.hello().instances()) {
    if (instance.generation() > 0) held.insert(instance.uid());
  }
  session.assignments().OnlyAdd(std::move(held));
  for (const std::string& name : catalog.InstancesOfNode(session.node())) {
    session.assignments().Add(name);
  }
}

// A node that cannot prove its last session has lost what it knew. A setup that it had been told
// to run may have run, or may run still, even if no word of it has come.
void NoteLostSetups(Catalog& catalog, const AgentSession& session) {
  const rec::NodeRecord& node = *catalog.nodes.Find(session.node());
  if (node.session_secret_sha256().empty() || KnowsSecret(node, session.hello())) return;
  std::set<std::string> held;
  for (const api::HeldInstance& instance : session.hello().instances()) held.insert(instance.uid());
  for (const std::string& name : catalog.InstancesOfNode(session.node())) {
    const api::Instance& instance = catalog.instances.Find(name)->instance();
    if (!instance.setup() || instance.attempt() > 0 || held.contains(instance.uid())) continue;
    catalog.instances.Mutate(name).mutable_instance()->set_attempt(1);
  }
}

}  // namespace

absl::Status CheckIdentity(const Catalog& catalog, const std::string& node_id,
                           const std::string& node_uid) {
  const rec::NodeRecord* node = catalog.nodes.Find("nodes/" + node_id);
  std::string why;
  if (node == nullptr) {
    why = fmt::format("There is no node {}; it was deleted. Enrol it again with a join token.",
                      node_id);
  } else if (node->node().uid() != node_uid) {
    why = fmt::format(
        "The certificate belongs to a former node {} (uid {}); the present one has uid {}. Enrol "
        "again with a join token.",
        node_id, node_uid, node->node().uid());
  } else if (node->revoked()) {
    why = fmt::format("Node {} is revoked. Enrol it again with a join token.", node_id);
  } else {
    return absl::OkStatus();
  }
  return MakeError(absl::StatusCode::kPermissionDenied, "NODE_REVOKED", why,
                   {{"node", "nodes/" + node_id}});
}

std::optional<api::Goodbye> RefuseIdentity(const Catalog& catalog, const AgentConnected& event) {
  const absl::Status status = CheckIdentity(catalog, event.node, event.node_uid);
  if (status.ok()) return std::nullopt;
  return FinalGoodbye(std::string(status.message()));
}

bool IsClone(const rec::NodeRecord& node, const api::Hello& hello) {
  if (!node.machine_id().empty() && node.machine_id() != hello.machine_id()) return true;
  return !KnowsSecret(node, hello);
}

void NoteWelcomeKept(Catalog& catalog, const std::string& node) {
  const rec::NodeRecord* record = catalog.nodes.Find(node);
  if (record == nullptr) return;
  const bool told = record->guard().empty() && record->has_accepted_position();
  if (!told && record->kept_secret_sha256() == record->session_secret_sha256()) return;
  rec::NodeRecord& changed = catalog.nodes.Mutate(node);
  changed.set_kept_secret_sha256(record->session_secret_sha256());
  // It has a position of this catalog now. Should it come with the accepted one again, then because
  // its journal was lost once more or restored: that was not what the operator looked at.
  if (told) changed.clear_accepted_position();
}

api::Position CurrentPosition(const Catalog& catalog, const std::string& timeline) {
  api::Position position;
  if (const rec::CatalogRecord* meta = catalog.meta.Find(Catalog::kMetaKey)) {
    position.set_catalog_uid(meta->catalog_uid());
  }
  position.set_timeline(timeline);
  position.set_log_index(catalog.last_index());
  return position;
}

std::string LastSession(const Catalog& catalog, const std::string& node) {
  const rec::NodeRecord* record = catalog.nodes.Find(node);
  if (record == nullptr || record->incarnation() == 0) return "";
  return fmt::format("{}-{}", IdOf(node), record->incarnation());
}

absl::Duration HeartbeatPeriod(const CoreOptions& options, size_t nodes) {
  const absl::Duration bearable = kLeastBetweenHeartbeats * static_cast<int64_t>(nodes);
  return std::max(options.heartbeat_period, std::min(bearable, options.lease / 2));
}

api::Welcome WelcomeNode(const CoreOptions& options, Catalog& catalog, const AgentSession& session,
                         const GuardDecision& guard, const api::Position& position) {
  const AgentConnected& connected = session.connected();
  const api::Hello& hello = session.hello();
  NoteLostSetups(catalog, session);
  rec::NodeRecord& node = catalog.nodes.Mutate(session.node());
  node.set_machine_id(hello.machine_id());
  node.set_incarnation(node.incarnation() + 1);
  node.set_session_secret_sha256(Sha256Hex(connected.secret));
  NoteHello(session, *node.mutable_node()->mutable_status());
  NoteGuard(guard, hello, node);

  api::Welcome welcome;
  welcome.set_session(LastSession(catalog, session.node()));
  welcome.set_incarnation(node.incarnation());
  welcome.set_session_secret(connected.secret);
  if (guard.guard.empty()) *welcome.mutable_position() = position;
  *welcome.mutable_lease() = ToProtoDuration(options.lease);
  *welcome.mutable_heartbeat_period() =
      ToProtoDuration(HeartbeatPeriod(options, catalog.nodes.rows().size()));
  welcome.set_node(connected.node);
  welcome.set_guard(guard.guard);
  welcome.set_catalog_accepted(guard.accepted);
  return welcome;
}

void AddDifferences(Catalog& catalog, const GuardDecision& guard, AgentSession& session) {
  const api::Hello& hello = session.hello();
  if (!guard.guard.empty()) return AddAdditions(catalog, session);
  // It may hold more than it can tell yet: until it can, it keeps its own position.
  if (hello.drivers().empty() && !IsOnHistory(catalog, hello.position())) {
    session.WithholdPosition();
  }
  std::map<std::string, const api::HeldInstance*> held;
  for (const api::HeldInstance& instance : hello.instances()) held[instance.uid()] = &instance;
  for (const std::string& name : catalog.InstancesOfNode(session.node())) {
    const rec::InstanceRecord* record = catalog.instances.Find(name);
    auto found = held.find(record->instance().uid());
    if (found == held.end()) {
      if (!IsGone(*record)) session.assignments().Add(name);
      continue;
    }
    const api::HeldInstance& has = *found->second;
    held.erase(found);
    if (has.generation() == record->generation() && has.digest() == record->digest()) continue;
    // A restored catalog counts lower than the agent, which would ignore it forever.
    if (has.generation() >= record->generation()) {
      catalog.instances.Mutate(name).set_generation(has.generation() + 1);
    }
    session.assignments().Add(name);
  }
  for (const auto& [uid, instance] : held) {
    session.assignments().AddRemoval(BuildRemoval(*instance));
  }
}

}  // namespace appsup::entry
