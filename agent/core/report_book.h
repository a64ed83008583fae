#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "appsupervisor/v1/link.pb.h"

namespace appsup::agent {

// What the entry should know: the newest status per instance, until the entry has acknowledged it.
// Bounded by the number of instances. Sequences grow over all instances, and over restarts of the
// agent: the upper half is the count of its starts. Core thread only. Promise 6.
class ReportBook {
 public:
  static constexpr int kStartCountShift = 32;

  explicit ReportBook(int64_t start_count) : sequence_(start_count << kStartCountShift) {}

  // Replaces what was known of the instance, and gives it a sequence. It may be sent once the
  // journal is durable up to `needed_index`. Nothing happens if it says what was said before.
  void Report(appsupervisor::v1::InstanceStatus status, uint64_t needed_index);

  // The entry has reports of the instance up to this sequence, whatever the journal knows: the next
  // ones are newer. True if this agent had not come so far.
  bool GoOnAfter(const std::string& uid, int64_t sequence);

  // A session begins: everything that is not acknowledged is sent again; `all`: everything.
  void SessionStarted(bool all);

  // As many unsent statuses as fit into `max_bytes` (at least one) and may be seen.
  std::optional<appsupervisor::v1::Status> Take(size_t max_bytes, uint64_t durable_index);
  bool HasUnsent() const { return !unsent_.empty(); }

  // The state in the newest report of the instance, if that is what was acknowledged.
  std::optional<appsupervisor::v1::InstanceState> Acknowledge(
      const appsupervisor::v1::StatusAck::Entry& entry);

  // The newest sequence of this instance; 0 if it was never reported.
  int64_t SequenceOf(const std::string& uid) const;

  void Forget(const std::string& uid);

 private:
  struct Entry {
    appsupervisor::v1::InstanceStatus status;
    uint64_t needed_index = 0;
    bool acknowledged = false;
  };

  int64_t sequence_;
  std::map<std::string, Entry> entries_;
  std::set<std::string> unsent_;
  std::string cursor_;  // Where the last Take ended, so that all get their turn.
};

}  // namespace appsup::agent
