#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "appsupervisor/v1/link.pb.h"
#include "entry/core/catalog.h"

namespace appsup::entry {

// What one agent still has to be told, as a keyed set: an instance that changes ten times before it
// is told is told once. Counts the versions of its session: 0 is what Hello said, each message
// leads from the one before it to the next. Core thread only.
class AssignmentSet {
 public:
  explicit AssignmentSet(std::string node) : node_(std::move(node)) {}

  // The differences to Hello were added. The first message goes out even if there are none.
  void Open() { must_send_ = true; }

  // Only instances that are to run and that are not held are told from now on: the node is guarded.
  // `held`: uids. What was told is held too.
  void OnlyAdd(std::set<std::string> held) { held_ = std::move(held); }

  void Add(const std::string& instance_name) { waiting_.insert(instance_name); }
  // For an instance that the catalog does not know.
  void AddRemoval(api::Assignment removal);

  // The agent has acted on all versions up to this one.
  void TakeApplied(int64_t version);

  // The agent saw a gap: everything that it has not acted on is told again, and acted on at its
  // end.
  void StartComplete();

  // A message is due.
  bool pending() const {
    return must_send_ || complete_ || !waiting_.empty() || !removals_.empty();
  }

  // The next message, of about `max_bytes` at most, unless one statement is larger by itself. Call
  // only if pending(). Position and node_desired are the caller's.
  api::Assignments Next(const Catalog& catalog, size_t max_bytes);

  // The agent has everything that it had to be told when it connected, or after a gap.
  bool Covers(int64_t applied_version) const {
    return settled_version_.has_value() && applied_version >= *settled_version_;
  }

  int64_t version() const { return version_; }

 private:
  bool MayTell(const rec::InstanceRecord& record) const;
  // False: it does not fit any more.
  bool Put(const Catalog& catalog, const rec::InstanceRecord& record, size_t max_bytes,
           size_t* bytes, api::Assignments* message);
  void FillRemovals(size_t max_bytes, size_t* bytes, api::Assignments* message);
  void FillIncremental(const Catalog& catalog, size_t max_bytes, api::Assignments* message);
  void FillComplete(const Catalog& catalog, size_t max_bytes, api::Assignments* message);

  std::string node_;                                 // "nodes/n".
  std::set<std::string> waiting_;                    // Names.
  std::map<std::string, api::Assignment> removals_;  // By uid.
  struct Told {
    int64_t version = 0;
    api::Assignment removal;
  };
  std::map<std::string, Told> told_removals_;  // By uid; not known to have been acted on.
  std::optional<std::set<std::string>> held_;  // Uids; set: nothing of these is told.
  std::map<std::string, int64_t> added_;       // Uid → generation told; if held_ is set.
  int64_t version_ = 0;                        // Of the newest message.
  bool must_send_ = false;
  bool complete_ = false;                   // A COMPLETE set is to be sent or under way.
  bool complete_began_ = false;             // Its first part was made.
  std::string cursor_;                      // Its last instance that was sent.
  std::optional<int64_t> settled_version_;  // First version after which nothing waited.
};

}  // namespace appsup::entry
