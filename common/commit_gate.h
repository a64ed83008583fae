#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <utility>
#include <vector>

namespace appsup {

// Durable before visible: holds back effects (replies, messages, events) until the log index that
// they rest upon is committed. Order is kept: an effect never overtakes one held before it, even
// if its own index is durable already. Pure; belongs to the thread of its core.
template <class Effect>
class CommitGate {
 public:
  // `needed_index`: the effect may be seen once the log is durable up to here.
  void Hold(uint64_t needed_index, Effect effect) {
    if (!held_.empty()) needed_index = std::max(needed_index, held_.back().needed_index);
    held_.push_back({needed_index, std::move(effect)});
  }

  // What may be seen now that the log is durable up to `durable_index`, in the order of Hold. An
  // index lower than one named before counts as that one.
  std::vector<Effect> Release(uint64_t durable_index) {
    durable_index_ = std::max(durable_index_, durable_index);
    std::vector<Effect> released;
    while (!held_.empty() && held_.front().needed_index <= durable_index_) {
      released.push_back(std::move(held_.front().effect));
      held_.pop_front();
    }
    return released;
  }

  // The commit failed or its outcome is unknown: empties the gate. The caller answers the calls
  // among them with an error and drops the rest; none of them may be performed.
  std::vector<Effect> Fail() {
    std::vector<Effect> dropped;
    dropped.reserve(held_.size());
    for (Held& held : held_) dropped.push_back(std::move(held.effect));
    held_.clear();
    return dropped;
  }

  uint64_t durable_index() const { return durable_index_; }
  size_t size() const { return held_.size(); }
  bool empty() const { return held_.empty(); }

 private:
  struct Held {
    uint64_t needed_index;  // Never falls from front to back.
    Effect effect;
  };

  std::deque<Held> held_;
  uint64_t durable_index_ = 0;
};

}  // namespace appsup
