#include "agent/core/claims.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "appsupervisor/agent/v1/journal.pb.h"

namespace appsup::agent {

void Claims::Load(const std::map<std::string, std::string>& rows) {
  for (const auto& [key, value] : rows) {
    appsupervisor::agent::v1::PortRecord record;
    if (!record.ParseFromString(value) || record.number() <= 0) continue;
    if (!owners_.emplace(record.number(), key).second) continue;
    slots_[key] = record.number();
  }
}

absl::Status Claims::ClaimFixed(int32_t number, const std::string& uid,
                                const std::string& holder_name) {
  const auto [it, fresh] = ports_.try_emplace(number, Holder{uid, holder_name});
  if (fresh || it->second.uid == uid) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("port ", number, " is in use by ", it->second.name, " on this node"));
}

absl::StatusOr<Claims::Picked> Claims::ClaimPicked(const std::string& slot, const std::string& port,
                                                   const std::string& uid,
                                                   const std::string& holder_name,
                                                   const std::set<int32_t>& avoid,
                                                   uint64_t random) {
  const std::string key = absl::StrCat(slot, "/", port);
  if (const auto it = slots_.find(key); it != slots_.end() && !avoid.contains(it->second)) {
    const auto [holder, fresh] = ports_.try_emplace(it->second, Holder{uid, holder_name});
    if (fresh || holder->second.uid == uid) return Picked{it->second, false};
  }
  absl::StatusOr<int32_t> number = FreeNumber(avoid, random);
  if (!number.ok()) return number.status();
  Forget(key);
  Remember(key, *number);
  ports_[*number] = {uid, holder_name};
  return Picked{*number, true};
}

absl::StatusOr<int32_t> Claims::FreeNumber(const std::set<int32_t>& avoid, uint64_t random) {
  const int64_t count = last_ - first_ + 1;
  const auto start = static_cast<int32_t>(random % static_cast<uint64_t>(count));
  int32_t taken_over = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto number = static_cast<int32_t>(first_ + (start + i) % count);
    if (ports_.contains(number) || avoid.contains(number)) continue;
    if (!owners_.contains(number)) return number;
    if (taken_over == 0) taken_over = number;
  }
  // Every number belongs to some slot: take one of a slot that does not run.
  if (taken_over != 0) {
    Forget(owners_.at(taken_over));
    return taken_over;
  }
  return absl::ResourceExhaustedError(absl::StrCat("no free port is left between ", first_, " and ",
                                                   last_, " (agent.yaml: ports)"));
}

absl::Status Claims::ClaimFolder(const std::string& path, const std::string& uid,
                                 const std::string& holder_name) {
  const auto [it, fresh] = folders_.try_emplace(path, Holder{uid, holder_name});
  if (fresh || it->second.uid == uid) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("waits for ", it->second.name, " to end, which uses the same data folder"));
}

void Claims::EnterSlot(const std::string& slot, const std::string& uid,
                       const std::string& holder_name) {
  tenants_[slot][uid] = holder_name;
}

absl::Status Claims::CheckSlotIsFree(const std::string& slot, const std::string& uid) const {
  const auto it = tenants_.find(slot);
  if (it == tenants_.end()) return absl::OkStatus();
  for (const auto& [other, name] : it->second) {
    if (other == uid) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("waits for ", name, " to end, which has the same slot"));
  }
  return absl::OkStatus();
}

void Claims::HoldApp(const std::string& app_uid, const std::string& uid) { apps_[uid] = app_uid; }

bool Claims::IsAppHeld(const std::string& app_uid, const std::string& uid) const {
  return std::any_of(apps_.begin(), apps_.end(),
                     [&](const auto& held) { return held.second == app_uid && held.first != uid; });
}

void Claims::Release(const std::string& uid) {
  const auto mine = [&](const auto& entry) { return entry.second.uid == uid; };
  size_t released = std::erase_if(ports_, mine) + std::erase_if(folders_, mine) + apps_.erase(uid);
  for (auto& [slot, tenants] : tenants_) released += tenants.erase(uid);
  std::erase_if(tenants_, [](const auto& entry) { return entry.second.empty(); });
  if (released > 0) released_ = true;
}

void Claims::Undo(const std::string& uid) {
  const bool released = released_;
  Release(uid);
  released_ = released;
}

void Claims::ReleasePort(int32_t number, const std::string& uid) {
  const auto it = ports_.find(number);
  if (it == ports_.end() || it->second.uid != uid) return;
  ports_.erase(it);
  if (const auto owner = owners_.find(number); owner != owners_.end()) Forget(owner->second);
  released_ = true;
}

void Claims::ForgetSlot(const std::string& slot) {
  const std::string prefix = absl::StrCat(slot, "/");
  for (auto it = slots_.lower_bound(prefix); it != slots_.end() && it->first.starts_with(prefix);) {
    const std::string key = (it++)->first;
    Forget(key);
  }
}

bool Claims::TakeReleased() { return std::exchange(released_, false); }

std::map<std::string, int32_t> Claims::TakeRows() { return std::exchange(rows_, {}); }

void Claims::Remember(const std::string& key, int32_t number) {
  slots_[key] = number;
  owners_[number] = key;
  rows_[key] = number;
}

// By value: callers pass keys that lie in the very rows that go.
void Claims::Forget(std::string key) {
  const auto it = slots_.find(key);
  if (it == slots_.end()) return;
  owners_.erase(it->second);
  rows_[key] = 0;
  slots_.erase(it);
}

}  // namespace appsup::agent
