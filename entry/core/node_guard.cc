#include "entry/core/node_guard.h"

#include <algorithm>
#include <set>

#include "common/digest.h"
#include "entry/core/instance_facts.h"
#include "entry/core/serialize.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr size_t kShownId = 8;  // Of an id that nobody types.

std::string Short(const std::string& id) { return id.substr(0, kShownId); }

// After the first index past a timeline; 0 if the catalog does not know the timeline.
int64_t EndOfTimeline(const Catalog& catalog, const std::string& timeline) {
  const rec::CatalogRecord* meta = catalog.meta.Find(Catalog::kMetaKey);
  for (int i = 0; meta != nullptr && i < meta->timelines_size(); ++i) {
    if (meta->timelines(i).id() != timeline) continue;
    // What was written under a timeline ends where the next one begins.
    return i + 1 < meta->timelines_size() ? meta->timelines(i + 1).first_index()
                                          : catalog.pending_index() + 1;
  }
  return 0;
}

// What the node follows, and what this catalog is.
std::string DescribeHistory(const Catalog& catalog, const std::string& id,
                            const api::Position& position, const api::Position& stands,
                            bool guarded) {
  if (position.catalog_uid().empty()) {
    return fmt::format(
        "Node {} does not know which catalog it followed: its journal was lost. This is catalog {} "
        "at index {}.",
        id, Short(stands.catalog_uid()), stands.log_index());
  }
  if (position.catalog_uid() != stands.catalog_uid()) {
    return fmt::format(
        "Node {} follows catalog {} up to index {} of timeline {}; this is another catalog, {} at "
        "index {}.",
        id, Short(position.catalog_uid()), position.log_index(), Short(position.timeline()),
        Short(stands.catalog_uid()), stands.log_index());
  }
  if (IsOnHistory(catalog, position) && !guarded) {
    return fmt::format(
        "Node {} follows this catalog, {}, up to index {} of {}, but its agent cannot present the "
        "secret of its last session: its disk was restored or is a copy of another machine's.",
        id, Short(stands.catalog_uid()), position.log_index(), stands.log_index());
  }
  if (IsOnHistory(catalog, position)) {
    return fmt::format(
        "Node {} met a catalog that it did not know, and has been guarded since. It follows this "
        "one, {}, up to index {} of {}.",
        id, Short(stands.catalog_uid()), position.log_index(), stands.log_index());
  }
  const int64_t end = EndOfTimeline(catalog, position.timeline());
  return fmt::format(
      "Node {} follows this catalog, {}, up to index {} of timeline {}, but it {} and stands at "
      "index {} of timeline {}: it was restored from a backup, or is a copy.",
      id, Short(stands.catalog_uid()), position.log_index(), Short(position.timeline()),
      end == 0 ? "does not know that timeline" : fmt::format("has that only up to {}", end - 1),
      stands.log_index(), Short(stands.timeline()));
}

// What the node holds, as this catalog sees it.
std::string DescribeHeld(const Catalog& catalog, const std::string& id, const api::Hello& hello) {
  int unknown = 0;
  int different = 0;
  for (const api::HeldInstance& held : hello.instances()) {
    const std::string& name = catalog.InstanceByUid(held.uid());
    const rec::InstanceRecord* record = name.empty() ? nullptr : catalog.instances.Find(name);
    if (record == nullptr || record->instance().node() != id) {
      ++unknown;
    } else if (held.digest() != record->digest()) {
      ++different;
    }
  }
  return fmt::format("It holds {} {}, of which {} {} unknown here and {} should be otherwise.",
                     hello.instances_size(), hello.instances_size() == 1 ? "instance" : "instances",
                     unknown, unknown == 1 ? "is" : "are", different);
}

std::string Listed(const std::set<std::string>& ids) {
  std::string list;
  for (const std::string& id : ids) list += (list.empty() ? "" : ", ") + id;
  return list;
}

template <class Visit>
void ForEachInstance(const AppView& view, Visit visit) {
  const auto all = [&](const std::vector<const rec::InstanceRecord*>& records) {
    for (const rec::InstanceRecord* record : records) visit(*record);
  };
  for (const SlotView& slot : view.slots) {
    if (slot.target != nullptr) visit(*slot.target);
    all(slot.old);
    all(slot.leaving);
  }
  all(view.surplus);
  all(view.setups);
}

// Its newest statement is not one of something to be added, and the agent does not have it.
bool AwaitsChange(const rec::InstanceRecord& record) {
  if (HasReported(record)) return false;
  const api::Instance& instance = record.instance();
  return instance.desired() != api::DESIRED_STATE_RUN || instance.attempt() > 0;
}

}  // namespace

bool IsOnHistory(const Catalog& catalog, const api::Position& position) {
  const rec::CatalogRecord* meta = catalog.meta.Find(Catalog::kMetaKey);
  if (meta == nullptr || position.catalog_uid() != meta->catalog_uid()) return false;
  const int64_t end = EndOfTimeline(catalog, position.timeline());
  return end > 0 && position.log_index() < end;
}

bool KnowsSecret(const rec::NodeRecord& node, const api::Hello& hello) {
  const std::string digest = Sha256Hex(hello.last_session_secret());
  return digest == node.session_secret_sha256() || digest == node.kept_secret_sha256();
}

GuardDecision DecideGuard(const Catalog& catalog, const rec::NodeRecord& node,
                          const api::Hello& hello, const api::Position& stands) {
  const bool met_before = !node.session_secret_sha256().empty();
  const bool follows =
      IsOnHistory(catalog, hello.position()) && (!met_before || KnowsSecret(node, hello));
  GuardDecision decision;
  if (!hello.guarded() && (follows || hello.instances().empty())) return decision;
  decision.accepted =
      node.has_accepted_position() && SameContent(node.accepted_position(), hello.position());
  if (decision.accepted) return decision;
  const std::string id = IdOf(node.node().name());
  decision.guard = fmt::format(
      "{} {} Nothing is stopped, changed or removed there until this catalog is accepted: {}.",
      DescribeHistory(catalog, id, hello.position(), stands, hello.guarded()),
      DescribeHeld(catalog, id, hello), AcceptCommand(id));
  return decision;
}

void NoteGuard(const GuardDecision& decision, const api::Hello& hello, rec::NodeRecord& node) {
  *node.mutable_position() = hello.position();
  node.set_guard(decision.guard);
  // Until the agent comes with a position of this catalog, it may have to be told once more. With
  // any other it is not the node that the operator looked at.
  if (!decision.accepted) node.clear_accepted_position();
}

api::Condition GuardCondition(const rec::NodeRecord& node) {
  api::Condition condition;
  condition.set_type("CatalogAccepted");
  if (node.guard().empty()) {
    condition.set_status(api::CONDITION_STATUS_TRUE);
    condition.set_reason("Follows");
    condition.set_message("It follows this catalog.");
  } else if (node.has_accepted_position()) {
    condition.set_status(api::CONDITION_STATUS_FALSE);
    condition.set_reason("Accepting");
    condition.set_message("This catalog was accepted for it; its agent is told when it connects.");
  } else {
    condition.set_status(api::CONDITION_STATUS_FALSE);
    condition.set_reason("Guarded");
    condition.set_message(node.guard());
  }
  return condition;
}

std::string AcceptCommand(const std::string& node_id) {
  return fmt::format("`appsup nodes accept {}`", node_id);
}

std::string DescribeGuarded(const Catalog& catalog, const AppView& view) {
  int waiting = 0;
  std::set<std::string> nodes;
  ForEachInstance(view, [&](const rec::InstanceRecord& record) {
    if (!AwaitsChange(record)) return;
    const rec::NodeRecord* node = catalog.nodes.Find("nodes/" + record.instance().node());
    if (node == nullptr || node->guard().empty()) return;
    ++waiting;
    nodes.insert(record.instance().node());
  });
  if (waiting == 0) return "";
  const bool one = nodes.size() == 1;
  return fmt::format("{} {} cannot be changed: {} {} guarded against this catalog until {}.",
                     waiting, waiting == 1 ? "instance" : "instances",
                     (one ? "node " : "nodes ") + Listed(nodes), one ? "is" : "are",
                     AcceptCommand(one ? *nodes.begin() : "--all"));
}

}  // namespace appsup::entry
