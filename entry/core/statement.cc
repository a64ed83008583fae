#include "entry/core/statement.h"

#include "common/digest.h"
#include "entry/core/instance_facts.h"
#include "entry/core/placement.h"
#include "entry/core/serialize.h"

namespace appsup::entry {
namespace {

// `assignment` has neither generation nor digest yet.
std::string DigestOf(const api::Assignment& assignment) { return Sha256Hex(Serialize(assignment)); }

api::Assignment Content(const Catalog& catalog, const rec::InstanceRecord& record) {
  const api::Instance& instance = record.instance();
  api::Assignment assignment;
  assignment.set_uid(instance.uid());
  assignment.set_name(instance.name());
  assignment.set_app_uid(record.app_uid());
  assignment.set_desired(instance.desired());
  assignment.set_restart_nonce(record.restart_nonce());
  assignment.set_revision(instance.revision());
  assignment.set_slot(instance.slot());
  assignment.set_environment(instance.environment());
  assignment.set_setup(instance.setup());
  assignment.set_purge_data(record.purge_data());
  assignment.set_app_generation(record.app_generation());
  assignment.set_fenced(record.fenced());
  assignment.set_fence_token(record.fenced() ? record.fence_token() : 0);
  if (!IsLeaving(record)) {
    const rec::RevisionRecord* revision = RevisionOf(catalog, record);
    if (revision != nullptr) *assignment.mutable_spec() = revision->revision().spec();
  }
  return assignment;
}

bool SameTotals(const api::ResourceTotals& a, const api::ResourceTotals& b) {
  return a.cpu_millis() == b.cpu_millis() && a.memory_bytes() == b.memory_bytes() &&
         a.pids() == b.pids();
}

}  // namespace

const rec::RevisionRecord* RevisionOf(const Catalog& catalog, const rec::InstanceRecord& record) {
  const api::Instance& instance = record.instance();
  return catalog.revisions.Find(AppOf(instance.name()) + "/revisions/" +
                                std::to_string(instance.revision()));
}

api::Assignment BuildAssignment(const Catalog& catalog, const rec::InstanceRecord& record) {
  api::Assignment assignment = Content(catalog, record);
  assignment.set_generation(record.generation());
  assignment.set_digest(record.digest());
  assignment.set_known_attempt(record.instance().attempt());
  assignment.set_known_sequence(record.instance().sequence());
  return assignment;
}

api::Assignment BuildRemoval(const api::HeldInstance& held) {
  api::Assignment assignment;
  assignment.set_uid(held.uid());
  assignment.set_desired(api::DESIRED_STATE_REMOVE);
  assignment.set_digest(DigestOf(assignment));
  assignment.set_generation(held.generation() + 1);
  return assignment;
}

void SetFenced(Catalog& catalog, const std::string& instance_name, bool fenced) {
  const int64_t token = catalog.pending_index();
  rec::InstanceRecord& record = catalog.instances.Mutate(instance_name);
  record.set_fenced(fenced);
  if (fenced && record.fence_token() == 0) record.set_fence_token(token);
}

void Restate(Catalog& catalog, Dirty& dirty, const std::string& instance_name) {
  const rec::InstanceRecord* record = catalog.instances.Find(instance_name);
  const std::string digest = DigestOf(Content(catalog, *record));
  if (digest == record->digest()) return;
  rec::InstanceRecord& changed = catalog.instances.Mutate(instance_name);
  changed.set_generation(changed.generation() + 1);
  changed.set_digest(digest);
  if (!changed.fenced() && !IsLeaving(changed))
    changed.set_unfenced_generation(changed.generation());
  dirty.Assignment("nodes/" + changed.instance().node(), instance_name);
}

void UpdateReservation(const CoreOptions& options, Catalog& catalog, Dirty& dirty,
                       const std::string& instance_name) {
  const rec::InstanceRecord& record = *catalog.instances.Find(instance_name);
  const bool idle = record.instance().desired() != api::DESIRED_STATE_RUN && HasEnded(record);
  // A setup that ended is not started again.
  const bool over = idle || (record.instance().setup() && HasEnded(record));
  const rec::RevisionRecord* revision = over ? nullptr : RevisionOf(catalog, record);
  api::ResourceTotals totals;
  google::protobuf::RepeatedPtrField<api::Port> ports;
  if (revision != nullptr) {
    const api::AppSpec& spec = revision->revision().spec();
    totals = ReserveOf(spec, options.default_memory_reserve);
    for (const api::Port& port : spec.ports()) {
      if (port.number() != 0 && !record.instance().setup()) *ports.Add() = port;
    }
  }
  if (SameTotals(totals, record.reserved()) && ports.size() == record.fixed_ports_size()) return;
  catalog.node_use.Remove(record);
  rec::InstanceRecord& changed = catalog.instances.Mutate(instance_name);
  *changed.mutable_reserved() = totals;
  *changed.mutable_fixed_ports() = std::move(ports);
  catalog.node_use.Add(changed);
  dirty.Node("nodes/" + changed.instance().node());
}

}  // namespace appsup::entry
