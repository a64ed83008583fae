#include "entry/core/change_feed.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/status.h"
#include "entry/core/proto_time.h"
#include "entry/core/resource_kind.h"
#include "entry/core/sealed_token.h"
#include "google/protobuf/message.h"

namespace appsup::entry {
namespace {

constexpr int kReadLimit = 256;  // Entries per ReadChanges.

bool Matches(const Filter& filter, const google::protobuf::Any& resource, const std::string& kind) {
  if (filter.empty()) return true;
  for (const ResourceKind& known : ResourceKinds()) {
    if (known.name != kind) continue;
    std::unique_ptr<google::protobuf::Message> message(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(known.type)->New());
    return message->ParseFromString(resource.value()) && filter.Matches(*message);
  }
  return false;
}

}  // namespace

void ChangeFeed::Watch(CallId call, WatchSpec spec, std::optional<int64_t> after,
                       const Moment& now) {
  Watcher watcher;
  watcher.spec = std::move(spec);
  watcher.snapshot = watcher.began_with_snapshot = !after.has_value();
  // The snapshot begins at the next Collect, when all changes made so far are in the log.
  watcher.position = after.value_or(-1);
  watcher.bookmark_due = now.boot + options_.bookmark_period;
  watchers_[call] = std::move(watcher);
}

void ChangeFeed::Writable(CallId call) {
  auto watcher = watchers_.find(call);
  if (watcher != watchers_.end()) watcher->second.in_flight = false;
}

void ChangeFeed::Read(const ChangesRead& event) {
  auto found = watchers_.find(event.call);
  if (found == watchers_.end()) return;
  Watcher& watcher = found->second;
  watcher.reading = false;
  if (!event.changes.ok()) {
    watcher.failure = absl::IsOutOfRange(event.changes.status())
                          ? TooOld(catalog_, watcher.position)
                          : Annotate(event.changes.status(), "The change log cannot be read");
    return;
  }
  for (const ChangeEntry& change : *event.changes) {
    if (change.index > watcher.position) watcher.older.push_back(MakeEntry(change));
  }
  // Nothing was written in between: transactions without change entries have indices too.
  if (watcher.older.empty()) watcher.position = std::max(watcher.position, ring_after_);
}

ChangeFeed::Entry ChangeFeed::MakeEntry(const ChangeEntry& change) {
  api::Event event;
  Entry entry{change.index, "", "", std::make_shared<const std::string>(change.event)};
  if (event.ParseFromString(change.event)) {
    entry.kind = event.kind();
    entry.name = event.name();
  }
  return entry;
}

void ChangeFeed::Append(const Transaction& transaction) {
  const std::vector<ChangedResource>& names = catalog_.last_changes();
  for (size_t at = 0; at < transaction.changes.size(); ++at) {
    const ChangeEntry& change = transaction.changes[at];
    ring_.push_back({change.index, names[at].kind, names[at].name,
                     std::make_shared<const std::string>(change.event)});
  }
}

void ChangeFeed::Durable(int64_t index) {
  durable_index_ = std::max(durable_index_, index);
  while (static_cast<int64_t>(ring_.size()) > options_.change_feed_in_memory &&
         ring_.front().index <= durable_index_) {
    ring_after_ = ring_.front().index;
    ring_.pop_front();
  }
}

absl::Duration ChangeFeed::next_deadline() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& [call, watcher] : watchers_) {
    if (!watcher.in_flight && !watcher.reading) next = std::min(next, watcher.bookmark_due);
  }
  return next;
}

bool ChangeFeed::Wants(const Watcher& watcher, const std::string& kind,
                       const std::string& name) const {
  if (!watcher.spec.kinds.contains(kind)) return false;
  if (watcher.spec.project.empty()) return true;
  return name.starts_with("projects/") && ProjectIdOf(name) == watcher.spec.project;
}

void ChangeFeed::Collect(const Moment& now, std::vector<FeedEffect>& out) {
  for (auto at = watchers_.begin(); at != watchers_.end();) {
    const CallId call = at->first;
    Watcher& watcher = at->second;
    if (watcher.in_flight || watcher.reading) {
      ++at;
      continue;
    }
    if (!watcher.failure.ok()) {
      out.push_back({0, StreamEnd{call, watcher.failure}});
      at = watchers_.erase(at);
      continue;
    }
    if (watcher.snapshot) {
      Snapshot(call, watcher, now, out);
    } else {
      Live(call, watcher, now, out);
    }
    ++at;
  }
}

void ChangeFeed::Snapshot(CallId call, Watcher& watcher, const Moment& now,
                          std::vector<FeedEffect>& out) {
  if (watcher.position < 0) watcher.position = catalog_.last_index();
  const std::vector<ResourceKind>& kinds = ResourceKinds();
  while (watcher.kind < kinds.size()) {
    const ResourceKind& kind = kinds[watcher.kind];
    const std::string name =
        watcher.spec.kinds.contains(kind.name) ? kind.next(catalog_, watcher.after) : std::string();
    if (name.empty()) {
      ++watcher.kind;
      watcher.after.clear();
      continue;
    }
    watcher.after = name;
    if (!Wants(watcher, kind.name, name)) continue;
    std::unique_ptr<google::protobuf::Message> view = kind.view(catalog_, name);
    if (catalog_.last_index() > watcher.position) {
      watcher.seen[name] = watcher.seen_until = catalog_.last_index();
    }
    if (!watcher.spec.filter.Matches(*view)) continue;
    if (!watcher.spec.filter.empty()) watcher.matched[name] = true;
    auto event = std::make_shared<api::Event>();
    event->set_log_index(catalog_.last_index());
    *event->mutable_time() = ToTimestamp(now.wall);
    event->set_type(api::EVENT_TYPE_SNAPSHOT);
    event->set_kind(kind.name);
    event->set_name(name);
    event->mutable_resource()->PackFrom(*view);
    Send(call, watcher, catalog_.last_index(), std::move(event), now, out);
    return;
  }
  watcher.snapshot = false;
  auto event = std::make_shared<api::Event>();
  event->set_log_index(watcher.position);
  *event->mutable_time() = ToTimestamp(now.wall);
  event->set_type(api::EVENT_TYPE_SNAPSHOT_END);
  event->set_resume_token(ResumeToken(catalog_, watcher.position));
  Send(call, watcher, catalog_.last_index(), std::move(event), now, out);
}

const ChangeFeed::Entry* ChangeFeed::NextEntry(CallId call, Watcher& watcher,
                                               std::vector<FeedEffect>& out) {
  while (!watcher.older.empty() && watcher.older.front().index <= watcher.position) {
    watcher.older.pop_front();
  }
  if (!watcher.older.empty()) return &watcher.older.front();
  if (watcher.position < ring_after_) {
    watcher.reading = true;
    out.push_back({0, ReadChanges{call, watcher.position, kReadLimit}});
    return nullptr;
  }
  auto entry = std::upper_bound(
      ring_.begin(), ring_.end(), watcher.position,
      [](int64_t position, const Entry& candidate) { return position < candidate.index; });
  if (entry != ring_.end()) return &*entry;
  watcher.position = catalog_.last_index();
  return nullptr;
}

void ChangeFeed::Live(CallId call, Watcher& watcher, const Moment& now,
                      std::vector<FeedEffect>& out) {
  while (const Entry* entry = NextEntry(call, watcher, out)) {
    const int64_t index = watcher.position = entry->index;
    std::shared_ptr<api::Event> event = EventFor(watcher, *entry);
    if (event == nullptr) continue;
    event->set_resume_token(ResumeToken(catalog_, index));
    Send(call, watcher, index, std::move(event), now, out);
    return;
  }
  if (watcher.reading || now.boot < watcher.bookmark_due) return;
  auto event = std::make_shared<api::Event>();
  event->set_log_index(watcher.position);
  *event->mutable_time() = ToTimestamp(now.wall);
  event->set_type(api::EVENT_TYPE_BOOKMARK);
  event->set_resume_token(ResumeToken(catalog_, watcher.position));
  Send(call, watcher, watcher.position, std::move(event), now, out);
}

// The event as this watcher sees it; nullptr if it does not.
std::shared_ptr<api::Event> ChangeFeed::EventFor(Watcher& watcher, const Entry& entry) const {
  if (!Wants(watcher, entry.kind, entry.name)) return nullptr;
  if (entry.index > watcher.seen_until) watcher.seen.clear();
  if (auto seen = watcher.seen.find(entry.name); seen != watcher.seen.end()) {
    if (entry.index <= seen->second) return nullptr;
    watcher.seen.erase(seen);
  }
  auto event = std::make_shared<api::Event>();
  if (!event->ParseFromString(*entry.event)) return nullptr;
  if (watcher.spec.filter.empty()) return event;
  const bool matches = Matches(watcher.spec.filter, event->resource(), entry.kind);
  auto known = watcher.matched.find(entry.name);
  const bool matched =
      event->type() != api::EVENT_TYPE_CREATED &&
      (known == watcher.matched.end() ? !watcher.began_with_snapshot : known->second);
  if (event->type() == api::EVENT_TYPE_DELETED) {
    watcher.matched.erase(entry.name);
    return matches ? event : nullptr;
  }
  if (matches || !watcher.began_with_snapshot) {
    watcher.matched[entry.name] = matches;
  } else {
    watcher.matched.erase(entry.name);
  }
  if (matches) return event;
  if (!matched) return nullptr;
  event->set_type(api::EVENT_TYPE_LEFT);
  return event;
}

void ChangeFeed::Send(CallId call, Watcher& watcher, int64_t needed_index,
                      std::shared_ptr<api::Event> event, const Moment& now,
                      std::vector<FeedEffect>& out) {
  watcher.in_flight = true;
  watcher.bookmark_due = now.boot + options_.bookmark_period;
  out.push_back({needed_index, StreamMessage{call, std::move(event)}});
}

}  // namespace appsup::entry
