#include "agent/core/report_book.h"

#include <algorithm>
#include <utility>

#include "google/protobuf/util/message_differencer.h"

namespace appsup::agent {

namespace api = appsupervisor::v1;

void ReportBook::Report(api::InstanceStatus status, uint64_t needed_index) {
  Entry& entry = entries_[status.uid()];
  status.set_sequence(entry.status.sequence());
  if (entry.status.sequence() != 0 &&
      google::protobuf::util::MessageDifferencer::Equals(status, entry.status)) {
    return;
  }
  status.set_sequence(++sequence_);
  unsent_.insert(status.uid());
  entry = {std::move(status), needed_index, false};
}

bool ReportBook::GoOnAfter(const std::string& uid, int64_t sequence) {
  const bool behind = sequence > sequence_;
  sequence_ = std::max(sequence_, sequence);
  const auto it = entries_.find(uid);
  if (it == entries_.end() || it->second.status.sequence() >= sequence) return behind;
  it->second.status.set_sequence(++sequence_);
  it->second.acknowledged = false;
  unsent_.insert(uid);
  return behind;
}

void ReportBook::SessionStarted(bool all) {
  unsent_.clear();
  for (const auto& [uid, entry] : entries_) {
    if (all || !entry.acknowledged) unsent_.insert(uid);
  }
}

std::optional<api::Status> ReportBook::Take(size_t max_bytes, uint64_t durable_index) {
  api::Status message;
  size_t bytes = 0;
  auto it = unsent_.upper_bound(cursor_);
  for (size_t looked = unsent_.size(); looked > 0 && !unsent_.empty(); --looked) {
    if (it == unsent_.end()) it = unsent_.begin();
    const Entry& entry = entries_.at(*it);
    if (entry.needed_index > durable_index) {
      ++it;
      continue;
    }
    const size_t size = entry.status.ByteSizeLong() + 8;  // Tag and length of the field.
    if (message.instances_size() > 0 && bytes + size > max_bytes) break;
    bytes += size;
    *message.add_instances() = entry.status;
    cursor_ = *it;
    it = unsent_.erase(it);
  }
  if (message.instances_size() == 0) return std::nullopt;
  return message;
}

std::optional<api::InstanceState> ReportBook::Acknowledge(const api::StatusAck::Entry& ack) {
  const auto it = entries_.find(ack.uid());
  if (it == entries_.end()) return std::nullopt;
  const api::InstanceStatus& status = it->second.status;
  if (status.attempt() != ack.attempt() || status.sequence() != ack.sequence()) return std::nullopt;
  it->second.acknowledged = true;
  unsent_.erase(ack.uid());
  return status.state();
}

int64_t ReportBook::SequenceOf(const std::string& uid) const {
  const auto it = entries_.find(uid);
  return it == entries_.end() ? 0 : it->second.status.sequence();
}

void ReportBook::Forget(const std::string& uid) {
  entries_.erase(uid);
  unsent_.erase(uid);
}

}  // namespace appsup::agent
