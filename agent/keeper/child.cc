#include "agent/keeper/child.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/report.h"

namespace appsup::keeper {

Child* ChildTable::Find(const std::string& key) {
  auto it = children_.find(key);
  return it == children_.end() ? nullptr : it->second.get();
}

Child* ChildTable::FindPid(pid_t pid) {
  auto it = live_.find(pid);
  return it == live_.end() ? nullptr : it->second;
}

Child* ChildTable::FindOther(const Child& child) {
  std::string prefix = child.key.substr(0, child.key.rfind('/') + 1);
  for (auto it = children_.lower_bound(prefix);
       it != children_.end() && it->first.compare(0, prefix.size(), prefix) == 0; ++it) {
    if (it->first != child.key && it->second->state != ChildState::kExited) {
      return it->second.get();
    }
  }
  return nullptr;
}

Child& ChildTable::Add(std::unique_ptr<Child> child) {
  Child& added = *child;
  if (added.pid != 0 && added.state < ChildState::kDraining) live_[added.pid] = &added;
  children_[added.key] = std::move(child);
  return added;
}

void ChildTable::ReleasePid(const Child& child) {
  auto it = live_.find(child.pid);
  if (it != live_.end() && it->second == &child) live_.erase(it);
}

void ChildTable::Erase(Child& child) {
  ReleasePid(child);
  RemoveRecord(child.record);
  children_.erase(children_.find(child.key));  // By position: the key goes with the child.
}

absl::Status ChildTable::Save(Child& child, const std::string& boot_id,
                              const std::vector<std::string>& log_paths) {
  pb::ProcessRecord record;
  *record.mutable_id() = child.id;
  record.set_app_uid(child.app_uid);
  record.set_boot_id(boot_id);
  record.set_pid(child.pid);
  record.set_start_boot_nanos(child.start_boot_nanos);
  record.set_cgroup(child.group());
  *record.mutable_stop() = child.stop_at_exit;
  for (const std::string& path : log_paths) record.add_log_paths(path);
  record.set_log_bound_bytes(child.log_bound);
  if (child.state == ChildState::kExited) *record.mutable_exited() = child.exit;
  if (child.fence.set()) *record.mutable_fence() = ToMessage(child.fence);
  std::string text = record.SerializeAsString();
  if (text.size() > RecordFile::kMaxRecord) {
    // Very long paths: another keeper will not bound these logs, but know all else.
    record.clear_log_paths();
    text = record.SerializeAsString();
  }
  return records_.Write(text, &child.record);
}

absl::Status ChildTable::SaveFence(Child& child) {
  pb::ProcessRecord record;
  if (!record.ParseFromString(records_.Read(child.record)) || !record.has_id()) {
    return absl::DataLossError("its record cannot be read");
  }
  record.clear_fence();
  if (child.fence.set()) *record.mutable_fence() = ToMessage(child.fence);
  return records_.Write(record.SerializeAsString(), &child.record);
}

absl::Status ChildTable::Open(const std::string& path,
                              std::vector<std::pair<int, pb::ProcessRecord>>* left) {
  std::vector<std::pair<int, std::string>> found;
  if (absl::Status s = records_.Open(path, &found); !s.ok()) return s;
  std::set<std::string> seen;
  for (const auto& [slot, text] : found) {
    pb::ProcessRecord record;
    if (record.ParseFromString(text) && CheckProcessId(record.id()).ok() &&
        seen.insert(ProcessKey(record.id())).second) {
      left->emplace_back(slot, std::move(record));
    } else {
      Report("warning", "record-dropped", {{"slot", absl::StrCat(slot)}});
      records_.Clear(slot);
    }
  }
  return absl::OkStatus();
}

void ChildTable::ForEachAfter(const std::string& after, const std::function<bool(Child&)>& visit) {
  for (auto it = children_.upper_bound(after); it != children_.end();) {
    Child& child = *it->second;
    ++it;  // The visitor may erase this one.
    if (!visit(child)) return;
  }
}

}  // namespace appsup::keeper
