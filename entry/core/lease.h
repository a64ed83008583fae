#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace appsup::entry {

// Deadlines on the boot clock by key: leases of nodes, and how long a peer may take. Pure.
template <class Key>
class LeaseTable {
 public:
  // Moves the end of this lease, also backwards.
  void Set(const Key& key, absl::Duration until) {
    Drop(key);
    until_[key] = until;
    by_time_.emplace(until, key);
  }

  void Drop(const Key& key) {
    auto lease = until_.find(key);
    if (lease == until_.end()) return;
    by_time_.erase({lease->second, key});
    until_.erase(lease);
  }

  bool Has(const Key& key) const { return until_.count(key) > 0; }

  // InfiniteDuration if there is none.
  absl::Duration Until(const Key& key) const {
    auto lease = until_.find(key);
    return lease == until_.end() ? absl::InfiniteDuration() : lease->second;
  }

  // Takes out those that end at `now` or ended before it.
  std::vector<Key> TakeExpired(absl::Duration now) {
    std::vector<Key> expired;
    while (!by_time_.empty() && by_time_.begin()->first <= now) {
      expired.push_back(by_time_.begin()->second);
      until_.erase(expired.back());
      by_time_.erase(by_time_.begin());
    }
    return expired;
  }

  // The earliest end, or InfiniteDuration.
  absl::Duration next() const {
    return by_time_.empty() ? absl::InfiniteDuration() : by_time_.begin()->first;
  }

 private:
  std::map<Key, absl::Duration> until_;
  std::set<std::pair<absl::Duration, Key>> by_time_;
};

}  // namespace appsup::entry
