#include "agent/keeper/child.h"

#include <dirent.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/report.h"
#include "agent/keeper/small_file.h"

namespace appsup::keeper {
namespace {

constexpr char kRecordSuffix[] = ".record";

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

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
  if (added.pid != 0 && added.state != ChildState::kExited) live_[added.pid] = &added;
  children_[added.key] = std::move(child);
  return added;
}

void ChildTable::ReleasePid(const Child& child) {
  auto it = live_.find(child.pid);
  if (it != live_.end() && it->second == &child) live_.erase(it);
}

void ChildTable::Erase(Child& child) {
  ReleasePid(child);
  RemoveRecord(child.group);
  children_.erase(std::string(child.key));
}

std::string ChildTable::RecordPath(const std::string& group) const {
  return absl::StrCat(folder_, "/", group, kRecordSuffix);
}

absl::Status ChildTable::Save(const Child& child, const std::string& boot_id) {
  pb::ProcessRecord record;
  *record.mutable_id() = child.id;
  record.set_app_uid(child.app_uid);
  record.set_boot_id(boot_id);
  record.set_pid(child.pid);
  record.set_start_boot_nanos(child.start_boot_nanos);
  record.set_cgroup(child.group);
  *record.mutable_stop() = child.stop_at_exit;
  for (const LogFile& log : child.logs) record.add_log_paths(log.path());
  record.set_log_bound_bytes(child.log_bound);
  if (child.state == ChildState::kExited) *record.mutable_exited() = child.exit;
  return ReplaceFile(RecordPath(child.group), record.SerializeAsString());
}

std::vector<pb::ProcessRecord> ChildTable::Load() {
  std::vector<pb::ProcessRecord> records;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder_.c_str()), closedir);
  if (dir == nullptr) return records;
  while (dirent* entry = readdir(dir.get())) {
    std::string name = entry->d_name;
    if (!EndsWith(name, kRecordSuffix)) continue;
    auto text = ReadSmallFile(absl::StrCat(folder_, "/", name), size_t{1} << 20);
    pb::ProcessRecord record;
    if (text.ok() && record.ParseFromString(*text) && CheckProcessId(record.id()).ok()) {
      records.push_back(std::move(record));
      continue;
    }
    Report("warning", "record-dropped", {{"file", name}});
    RemoveRecord(name.substr(0, name.size() - sizeof(kRecordSuffix) + 1));
  }
  return records;
}

void ChildTable::RemoveRecord(const std::string& group) { unlink(RecordPath(group).c_str()); }

void ChildTable::ForEachAfter(const std::string& after, const std::function<bool(Child&)>& visit) {
  for (auto it = children_.upper_bound(after); it != children_.end();) {
    Child& child = *it->second;
    ++it;  // The visitor may erase this one.
    if (!visit(child)) return;
  }
}

}  // namespace appsup::keeper
