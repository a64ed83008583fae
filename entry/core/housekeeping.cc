#include "entry/core/housekeeping.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "entry/core/proto_time.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kPeriod = absl::Minutes(1);
constexpr absl::Duration kGrace = absl::Hours(1);  // After an entry's start.
constexpr absl::Duration kMarkPeriod = absl::Hours(1);

// "projects/p/operations/" or "operations/".
std::string OperationsOf(const std::string& project) {
  return project.empty() ? "operations/" : "projects/" + project + "/operations/";
}

}  // namespace

Housekeeping::Housekeeping(const CoreOptions& options, Catalog& catalog, Dirty& dirty,
                           RequestLog& requests, const Moment& now)
    : options_(options),
      catalog_(catalog),
      dirty_(dirty),
      requests_(requests),
      started_(now.boot),
      wall_clock_(now) {
  const rec::CatalogRecord* meta = catalog.meta.Find(Catalog::kMetaKey);
  const rec::ClockStamp stamp = meta == nullptr ? rec::ClockStamp() : meta->clock();
  if (!stamp.boot_id().empty() && stamp.boot_id() == options.boot_id) {
    WallClock since({FromTimestamp(stamp.wall()), absl::Nanoseconds(stamp.boot_nanos())});
    FollowJump(since.TakeJump(now), now);
  }
  StampClock(now);
}

void Housekeeping::Run(const Moment& now) {
  if (now.boot < next_) return;
  next_ = now.boot + kPeriod;
  if (const absl::Duration jump = wall_clock_.TakeJump(now); jump != absl::ZeroDuration()) {
    FollowJump(jump, now);
    StampClock(now);
  }
  // Soon after a start nothing is forgotten by age: whoever repeats a call, or asks what became of
  // it, does so soon, and if this machine's clock is a wrong one, that must not make the call a new
  // one.
  const absl::Time wall =
      now.boot >= started_ + kGrace ? wall_clock_.Cautious(now) : absl::InfinitePast();
  requests_.Expire(wall);
  ExpireTokens(wall);
  ExpireOperations(wall);
  ExpireApps(now);
  TrimLog(wall_clock_.Cautious(now));
}

// What is left until an app is purged stays as it was.
void Housekeeping::FollowJump(absl::Duration jump, const Moment& now) {
  if (jump == absl::ZeroDuration()) return;
  std::vector<std::string> deleted;
  for (const auto& [name, record] : catalog_.apps.rows()) {
    if (record.app().has_purge_time() && !record.purge()) deleted.push_back(name);
  }
  for (const std::string& name : deleted) {
    google::protobuf::Timestamp& time =
        *catalog_.apps.Mutate(name).mutable_app()->mutable_purge_time();
    time = ToTimestamp(FromTimestamp(time) + jump);
  }
  notes_.push_back({true,
                    "wall-clock-jumped",
                    {{"by", absl::FormatDuration(jump)},
                     {"now", absl::FormatTime(now.wall, absl::UTCTimeZone())},
                     {"moved_purge_times", std::to_string(deleted.size())}}});
}

void Housekeeping::StampClock(const Moment& now) {
  if (options_.boot_id.empty() || catalog_.meta.Find(Catalog::kMetaKey) == nullptr) return;
  rec::ClockStamp& stamp = *catalog_.meta.Mutate(Catalog::kMetaKey).mutable_clock();
  stamp.set_boot_id(options_.boot_id);
  stamp.set_boot_nanos(absl::ToInt64Nanoseconds(now.boot));
  *stamp.mutable_wall() = ToTimestamp(now.wall);
}

void Housekeeping::ExpireTokens(absl::Time now) {
  std::vector<std::string> expired;
  for (const auto& [key, record] : catalog_.tokens.rows()) {
    if (FromTimestamp(record.expire_time()) <= now) expired.push_back(key);
  }
  for (const std::string& key : expired) catalog_.tokens.Erase(key);
}

// Names grow with age, so the oldest come first.
void Housekeeping::ExpireOperations(absl::Time now) {
  const std::map<std::string, int64_t> counts = catalog_.operation_counts();
  for (const auto& [project, count] : counts) {
    const std::string prefix = OperationsOf(project);
    const auto& rows = catalog_.operations.rows();
    for (auto row = rows.lower_bound(prefix);
         row != rows.end() && row->first.starts_with(prefix);) {
      const api::Operation& operation = (row++)->second.operation();
      if (!operation.done()) continue;
      if (FromTimestamp(operation.end_time()) + options_.operation_kept > now) break;
      catalog_.EraseOperation(std::string(operation.name()));
    }
  }
}

void Housekeeping::LimitOperations() {
  if (!catalog_.operations.changed()) return;
  std::vector<std::pair<std::string, int64_t>> excesses;
  for (const auto& [project, count] : catalog_.operation_counts()) {
    const int64_t excess = count - options_.max_operations_per_project;
    if (excess > 0) excesses.emplace_back(OperationsOf(project), excess);
  }
  for (auto& [prefix, excess] : excesses) {
    const auto& rows = catalog_.operations.rows();
    for (auto row = rows.lower_bound(prefix);
         excess > 0 && row != rows.end() && row->first.starts_with(prefix);) {
      const api::Operation& operation = (row++)->second.operation();
      if (!operation.done()) continue;
      catalog_.EraseOperation(std::string(operation.name()));
      --excess;
    }
  }
}

void Housekeeping::ExpireApps(const Moment& now) {
  std::map<std::string, absl::Duration> purge_at;
  for (const auto& [name, record] : catalog_.apps.rows()) {
    if (!record.app().has_delete_time() || record.purge()) continue;
    auto known = purge_at_.find(name);
    purge_at[name] = known != purge_at_.end()
                         ? known->second
                         : now.boot + (FromTimestamp(record.app().purge_time()) - now.wall);
  }
  purge_at_ = std::move(purge_at);
  for (const auto& [name, at] : purge_at_) {
    if (at > now.boot) continue;
    catalog_.apps.Mutate(name).set_purge(true);
    dirty_.App(name);
  }
}

void Housekeeping::TrimLog(absl::Time now) {
  const rec::CatalogRecord* meta = catalog_.meta.Find(Catalog::kMetaKey);
  if (meta == nullptr) return;
  const auto& marks = meta->marks();
  const bool mark_due =
      marks.empty() || FromTimestamp(marks[marks.size() - 1].time()) + kMarkPeriod <= now;
  const int64_t head = catalog_.last_index();
  if (mark_due && (marks.empty() || marks[marks.size() - 1].index() < head)) {
    rec::LogMark& mark = *catalog_.meta.Mutate(Catalog::kMetaKey).add_marks();
    *mark.mutable_time() = ToTimestamp(now);
    mark.set_index(head);
  }
  int64_t oldest = std::max<int64_t>(meta->oldest_index(), 1);
  int aged = 0;
  while (aged < marks.size() &&
         FromTimestamp(marks[aged].time()) + options_.change_log_kept <= now) {
    oldest = std::max(oldest, marks[aged++].index() + 1);
  }
  // In strides, so that the row with the history is not written for every few entries.
  const int64_t most = options_.max_change_log_entries;
  if (head - oldest >= most + most / 100) oldest = head - most + 1;
  if (oldest <= std::max<int64_t>(meta->oldest_index(), 1)) return;
  rec::CatalogRecord& changed = catalog_.meta.Mutate(Catalog::kMetaKey);
  changed.mutable_marks()->DeleteSubrange(0, aged);
  changed.set_oldest_index(oldest);
  trim_before_ = oldest;
}

}  // namespace appsup::entry
