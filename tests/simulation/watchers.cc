#include "tests/simulation/watchers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appsupervisor/v1/event_service.pb.h"

namespace appsup::simulation {
namespace {

constexpr size_t kMost = 4;

// What a watcher sees of a change, but for what it needs to come back.
std::string Content(api::Event event) {
  event.clear_resume_token();
  return event.SerializeAsString();
}

}  // namespace

Watchers::Watchers(World& world, const Disk& disk, Operators& operators)
    : world_(world), disk_(disk), operators_(operators), random_(world.Stream("watchers")) {}

void Watchers::Begin(uint64_t value) {
  if (watchers_.size() >= kMost) {
    // One of them loses its connection instead.
    Watcher& watcher = std::next(watchers_.begin(), static_cast<int>(value % kMost))->second;
    if (!watcher.open) return;
    operators_.entry().Forget(watcher.stream);
    watcher.open = false;
    const int number = watcher.number;
    world_.After(Between(random_, absl::ZeroDuration(), absl::Seconds(4)),
                 [this, number] { Open(number); });
    return;
  }
  const int number = static_cast<int>(watchers_.size());
  watchers_[number].number = number;
  Open(number);
}

void Watchers::StoreReplaced() { ++history_; }

void Watchers::Open(int number) {
  Watcher& watcher = watchers_.at(number);
  if (watcher.open) return;
  watcher.open = true;
  auto request = std::make_shared<api::WatchEventsRequest>();
  request->set_resume_token(watcher.token);
  if (watcher.token.empty()) {
    watcher.knows = false;
    watcher.snapshot = true;
    watcher.shown.clear();
    watcher.history = history_;
    watcher.last.clear();
  }
  const ClientCall call{operators_.NextCall(), "EventService/WatchEvents", request};
  watcher.stream = call.id;
  world_.Note("watcher", "watch", watcher.token.empty() ? "snapshot" : "resume");
  EntryHost::Watch watch;
  watch.event = [this, number, id = call.id](const api::Event& event) {
    Watcher& seen = watchers_.at(number);
    if (seen.open && seen.stream == id) See(seen, event);
  };
  watch.end = [this, number, id = call.id](const absl::Status& status) {
    const Watcher& seen = watchers_.at(number);
    if (seen.open && seen.stream == id) Ended(number, status);
  };
  operators_.entry().Call(call, std::move(watch));
}

void Watchers::See(Watcher& watcher, const api::Event& event) {
  switch (event.type()) {
    case api::EVENT_TYPE_SNAPSHOT:
      if (event.log_index() > disk_.durable.head()) {
        world_.Fail(1,
                    absl::StrCat("a snapshot of ", event.name(), " as of index ", event.log_index(),
                                 " was shown"),
                    absl::StrCat("nothing beyond the durable index ", disk_.durable.head()));
      }
      watcher.shown[event.name()] = event.log_index();
      return;
    case api::EVENT_TYPE_SNAPSHOT_END:
      watcher.snapshot = false;
      watcher.knows = true;
      watcher.position = event.log_index();
      watcher.token = event.resume_token();
      return;
    case api::EVENT_TYPE_BOOKMARK:
      watcher.token = event.resume_token();
      if (event.log_index() < watcher.position) {
        world_.Fail(8, absl::StrCat("a bookmark at ", event.log_index()),
                    absl::StrCat("none before ", watcher.position));
      }
      return;
    default:
      SeeChange(watcher, event);
      return;
  }
}

bool Watchers::MissedTrimmed(const Watcher& watcher, const api::Event& event) {
  const auto& gone = disk_.durable.trimmed();
  for (auto it = gone.upper_bound(watcher.position);
       it != gone.end() && it->first < event.log_index(); ++it) {
    const auto shown = watcher.shown.find(it->second);
    if (shown != watcher.shown.end() && it->first <= shown->second) continue;
    world_.Fail(8,
                absl::StrCat("watcher ", watcher.number, " at ", watcher.position, " saw ",
                             event.name(), " at ", event.log_index()),
                absl::StrCat(it->second, " at ", it->first, " first, or OUT_OF_RANGE"));
    return true;
  }
  return false;
}

void Watchers::SeeChange(Watcher& watcher, const api::Event& event) {
  const std::string who =
      absl::StrCat("watcher ", watcher.number, " saw ", event.name(), " at ", event.log_index());
  if (watcher.history != history_) {
    // It came back to another history than the one that it knows. That is only right if its token
    // lies on both, which the log tells.
    watcher.history = history_;
    const entry::ChangeEntry* mine = disk_.durable.Entry(watcher.position);
    if (!watcher.last.empty() && (mine == nullptr || mine->event != watcher.last)) {
      return world_.Fail(8, absl::StrCat(who, " after a history that is no longer this one"),
                         "OUT_OF_RANGE");
    }
  }
  if (watcher.knows && MissedTrimmed(watcher, event)) return;
  const auto& log = disk_.durable.log();
  const bool trimmed = log.empty() || event.log_index() < log.front().index;
  const entry::ChangeEntry* written = disk_.durable.Entry(event.log_index());
  if (trimmed && event.log_index() <= disk_.durable.head()) {
    // The entry had it in memory still; what it said can no longer be compared.
    watcher.position = event.log_index();
    watcher.token = event.resume_token();
    watcher.last.clear();
    return;
  }
  if (written == nullptr || written->event != Content(event)) {
    return world_.Fail(event.log_index() > disk_.durable.head() ? 1 : 8,
                       absl::StrCat(who, ", which the change log does not have"),
                       "what was committed, and nothing else");
  }
  if (!watcher.knows) return world_.Fail(8, who + " within its snapshot", "SNAPSHOT_END first");
  auto next = std::upper_bound(
      log.begin(), log.end(), watcher.position,
      [](int64_t index, const entry::ChangeEntry& entry) { return index < entry.index; });
  // What the snapshot had already shown is not sent again.
  for (; next != log.end() && next->index < event.log_index(); ++next) {
    api::Event skipped;
    skipped.ParseFromString(next->event);
    const auto shown = watcher.shown.find(skipped.name());
    if (shown != watcher.shown.end() && skipped.log_index() <= shown->second) continue;
    return world_.Fail(8, absl::StrCat(who, " right after ", watcher.position),
                       absl::StrCat("first ", skipped.name(), " at ", skipped.log_index()));
  }
  if (event.log_index() <= watcher.position) {
    return world_.Fail(8, absl::StrCat(who, " after ", watcher.position), "each change once");
  }
  watcher.position = event.log_index();
  watcher.last = written->event;
  watcher.token = event.resume_token();
}

void Watchers::Ended(int number, const absl::Status& status) {
  Watcher& watcher = watchers_.at(number);
  watcher.open = false;
  world_.Note("watcher", "ended", absl::StatusCodeToString(status.code()));
  if (absl::IsOutOfRange(status) || absl::IsInvalidArgument(status)) {
    if (absl::IsInvalidArgument(status) && watcher.history == history_) {
      world_.Fail(8, absl::StrCat("a token of this catalog was refused: ", status.ToString()),
                  "changes, or OUT_OF_RANGE");
    }
    watcher.token.clear();
  } else if (watcher.snapshot) {
    watcher.token.clear();
  }
  world_.After(Between(random_, absl::Milliseconds(10), absl::Seconds(2)),
               [this, number] { Open(number); });
}

std::string Watchers::Behind() const {
  const auto& log = disk_.durable.log();
  if (log.empty()) return "";
  for (const auto& [number, watcher] : watchers_) {
    if (!watcher.knows) return absl::StrCat("watcher ", number, " has no snapshot");
    for (auto it = log.rbegin(); it != log.rend() && it->index > watcher.position; ++it) {
      api::Event event;
      event.ParseFromString(it->event);
      const auto shown = watcher.shown.find(event.name());
      if (shown != watcher.shown.end() && event.log_index() <= shown->second) continue;
      return absl::StrCat("watcher ", number, " is at ", watcher.position, " and has not seen ",
                          event.name(), " at ", event.log_index());
    }
  }
  return "";
}

}  // namespace appsup::simulation
