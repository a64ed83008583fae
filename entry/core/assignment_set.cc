#include "entry/core/assignment_set.h"

#include <utility>

#include "entry/core/instance_facts.h"
#include "entry/core/statement.h"

namespace appsup::entry {

void AssignmentSet::AddRemoval(api::Assignment removal) {
  std::string uid = removal.uid();
  removals_[std::move(uid)] = std::move(removal);
}

void AssignmentSet::TakeApplied(int64_t version) {
  std::erase_if(told_removals_, [&](const auto& told) { return told.second.version <= version; });
}

void AssignmentSet::StartComplete() {
  // The catalog does not know them, so no COMPLETE set holds them by itself.
  for (auto& [uid, told] : told_removals_) removals_.emplace(uid, std::move(told.removal));
  told_removals_.clear();
  complete_ = true;
  complete_began_ = false;
  cursor_.clear();
  settled_version_.reset();
}

api::Assignments AssignmentSet::Next(const Catalog& catalog, size_t max_bytes) {
  api::Assignments message;
  if (complete_) {
    FillComplete(catalog, max_bytes, &message);
  } else {
    FillIncremental(catalog, max_bytes, &message);
  }
  must_send_ = false;
  if (!pending() && !settled_version_.has_value()) settled_version_ = version_;
  return message;
}

bool AssignmentSet::MayTell(const rec::InstanceRecord& record) const {
  if (!held_.has_value()) return true;
  const api::Instance& instance = record.instance();
  if (instance.desired() != api::DESIRED_STATE_RUN || held_->contains(instance.uid())) return false;
  // Once more if it may have been lost, but not in another form.
  auto told = added_.find(instance.uid());
  return told == added_.end() || told->second == record.generation();
}

bool AssignmentSet::Put(const Catalog& catalog, const rec::InstanceRecord& record, size_t max_bytes,
                        size_t* bytes, api::Assignments* message) {
  if (!MayTell(record)) return true;
  api::Assignment assignment = BuildAssignment(catalog, record);
  const size_t size = assignment.ByteSizeLong();
  if (*bytes > 0 && *bytes + size > max_bytes) return false;
  *bytes += size;
  if (held_.has_value()) added_.emplace(assignment.uid(), assignment.generation());
  *message->add_assignments() = std::move(assignment);
  return true;
}

void AssignmentSet::FillRemovals(size_t max_bytes, size_t* bytes, api::Assignments* message) {
  while (!removals_.empty() && *bytes < max_bytes) {
    auto removal = removals_.begin();
    *bytes += removal->second.ByteSizeLong();
    *message->add_assignments() = removal->second;
    told_removals_[removal->first] = {version_, std::move(removal->second)};
    removals_.erase(removal);
  }
}

void AssignmentSet::FillIncremental(const Catalog& catalog, size_t max_bytes,
                                    api::Assignments* message) {
  message->set_type(api::ASSIGNMENTS_TYPE_INCREMENTAL);
  message->set_base(version_);
  message->set_version(++version_);
  size_t bytes = 0;
  FillRemovals(max_bytes, &bytes, message);
  while (!waiting_.empty() && bytes < max_bytes) {
    // A row that is gone was reported as removed: there is nothing left to tell.
    if (const rec::InstanceRecord* record = catalog.instances.Find(*waiting_.begin())) {
      if (!Put(catalog, *record, max_bytes, &bytes, message)) return;
    }
    waiting_.erase(waiting_.begin());
  }
}

void AssignmentSet::FillComplete(const Catalog& catalog, size_t max_bytes,
                                 api::Assignments* message) {
  message->set_type(api::ASSIGNMENTS_TYPE_COMPLETE);
  if (!complete_began_) {
    complete_began_ = true;
    ++version_;
    waiting_.clear();
    message->set_begin(true);
  }
  message->set_version(version_);
  size_t bytes = 0;
  FillRemovals(max_bytes, &bytes, message);
  const std::set<std::string>& names = catalog.InstancesOfNode(node_);
  auto name = names.upper_bound(cursor_);
  for (; name != names.end() && bytes < max_bytes; ++name) {
    const rec::InstanceRecord& record = *catalog.instances.Find(*name);
    if (!IsGone(record) && !Put(catalog, record, max_bytes, &bytes, message)) return;
    cursor_ = *name;
  }
  if (name != names.end() || !removals_.empty()) return;
  message->set_end(true);
  complete_ = false;
}

}  // namespace appsup::entry
