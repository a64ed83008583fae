#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/clock.h"
#include "entry/core/catalog.h"
#include "entry/core/effect.h"
#include "entry/core/event.h"
#include "entry/core/filter.h"
#include "entry/core/options.h"

namespace appsup::entry {

// An effect and the index of the change log that has to be durable before it is performed.
struct FeedEffect {
  int64_t needed_index = 0;
  Effect effect;
};

// What a watcher wants to see.
struct WatchSpec {
  std::string project;          // Only resources of this project; empty: all.
  std::set<std::string> kinds;  // Not empty.
  Filter filter;
};

// The change log as watchers see it. The newest entries are kept in memory (a ring), older ones are
// read from the store in pieces. A watcher costs its place in the log, at most one piece, and with
// a filter a bit per name that it was told of.
//
//   snapshot: resources one by one, in order of kind and name, as they are when their turn comes;
//             what changes meanwhile is sent again afterwards unless it was already seen
//   live:     entries after `position`; one message is under way
//
// Core thread only.
class ChangeFeed {
 public:
  ChangeFeed(const CoreOptions& options, const Catalog& catalog)
      : options_(options), catalog_(catalog), ring_after_(catalog.last_index()) {}

  // Without `after`: begins with a snapshot.
  void Watch(CallId call, WatchSpec spec, std::optional<int64_t> after, const Moment& now);
  void Writable(CallId call);
  void Cancelled(CallId call) { watchers_.erase(call); }
  void Read(const ChangesRead& event);

  // Entries of a transaction that was just made.
  void Append(const Transaction& transaction);
  // Entries up to this index may be forgotten if there are too many.
  void Durable(int64_t index);

  void Collect(const Moment& now, std::vector<FeedEffect>& out);

  absl::Duration next_deadline() const;
  size_t watchers() const { return watchers_.size(); }

 private:
  struct Entry {
    int64_t index = 0;
    std::string kind;
    std::string name;
    std::shared_ptr<const std::string> event;  // Serialised.
  };

  struct Watcher {
    WatchSpec spec;
    bool in_flight = false;  // A StreamMessage is being written.
    bool reading = false;    // ReadChanges is under way.
    bool snapshot = false;
    bool began_with_snapshot = false;
    size_t kind = 0;    // Snapshot: index in ResourceKinds() …
    std::string after;  // … and the last name that was looked at.
    int64_t position = 0;
    std::deque<Entry> older;  // Read from the store; all before the ring's first or in it.
    // Names whose last state matched or not. Names that are missing did not exist or did not match
    // if the watcher began with a snapshot; else they may have matched.
    std::map<std::string, bool> matched;
    // Snapshot: the index up to which a name's changes are in what was sent.
    std::map<std::string, int64_t> seen;
    int64_t seen_until = 0;  // The highest of them.
    absl::Duration bookmark_due = absl::InfiniteDuration();
    absl::Status failure;  // Ends the call.
  };

  static Entry MakeEntry(const ChangeEntry& change);
  bool Wants(const Watcher& watcher, const std::string& kind, const std::string& name) const;

  // Each makes at most one message.
  void Snapshot(CallId call, Watcher& watcher, const Moment& now, std::vector<FeedEffect>& out);
  void Live(CallId call, Watcher& watcher, const Moment& now, std::vector<FeedEffect>& out);
  const Entry* NextEntry(CallId call, Watcher& watcher, std::vector<FeedEffect>& out);
  std::shared_ptr<api::Event> EventFor(Watcher& watcher, const Entry& entry) const;
  void Send(CallId call, Watcher& watcher, int64_t needed_index, std::shared_ptr<api::Event> event,
            const Moment& now, std::vector<FeedEffect>& out);

  const CoreOptions& options_;
  const Catalog& catalog_;
  int64_t ring_after_;  // The ring has all entries after this index, which is durable.
  std::deque<Entry> ring_;
  int64_t durable_index_ = 0;
  std::map<CallId, Watcher> watchers_;
};

}  // namespace appsup::entry
