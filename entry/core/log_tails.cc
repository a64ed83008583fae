#include "entry/core/log_tails.h"

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr int kDefaultLines = 100;
constexpr absl::Duration kLongPoll = absl::Seconds(25);  // Every cursor has its own command.
constexpr absl::Duration kShortPoll = absl::Seconds(1);  // They take turns.
constexpr absl::Duration kRetry = absl::Seconds(1);

bool IsInstance(const std::string& name) { return name.find("/instances/") != std::string::npos; }

std::vector<api::LogStream> StreamsOf(const api::TailLogsRequest& request) {
  if (request.stream() != api::LOG_STREAM_UNSPECIFIED) return {request.stream()};
  return {api::LOG_STREAM_STDOUT, api::LOG_STREAM_STDERR};
}

}  // namespace

absl::Status LogTails::Open(CallId call, const api::TailLogsRequest& request) {
  if (static_cast<int>(tails_.size()) >= options_.max_streams) {
    return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_STREAMS",
                     fmt::format("{} logs are being read already; end one of those calls first.",
                                 options_.max_streams),
                     {{"limit", std::to_string(options_.max_streams)}});
  }
  tails_[call].request = request;
  return absl::OkStatus();
}

void LogTails::Writable(CallId call) {
  auto tail = tails_.find(call);
  if (tail != tails_.end()) tail->second.in_flight = false;
}

void LogTails::Cancelled(CallId call, Sessions& sessions) {
  auto tail = tails_.find(call);
  if (tail == tails_.end()) return;
  for (const auto& [key, cursor] : tail->second.cursors) {
    if (cursor.command != 0) sessions.CancelCommand("nodes/" + cursor.node, cursor.command);
  }
  tails_.erase(tail);
}

void LogTails::InstanceChanged(const std::string& name) {
  if (tails_.empty()) return;
  const std::string app = AppOf(name);
  for (auto& [call, tail] : tails_) {
    if (tail.request.name() == name || tail.request.name() == app) tail.instances_changed = true;
  }
}

absl::Duration LogTails::next_deadline() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const auto& [call, tail] : tails_) {
    for (const auto& [key, cursor] : tail.cursors) {
      if (!cursor.busy && !cursor.finished && cursor.retry_at > now_.boot) {
        next = std::min(next, cursor.retry_at);
      }
    }
  }
  return next;
}

void LogTails::Collect(Sessions& sessions, const Moment& now, std::vector<Effect>& out) {
  now_ = now;
  for (auto at = tails_.begin(); at != tails_.end();) {
    const CallId call = at->first;
    Tail& tail = at->second;
    if (tail.instances_changed) UpdateCursors(tail, sessions);
    Read(call, tail, sessions, now);
    if (!tail.in_flight && !tail.ready.empty()) {
      out.push_back(StreamMessage{call, TakeReady(tail)});
      Read(call, tail, sessions, now);  // Who brought it may read on.
    }
    if (!tail.in_flight && Done(tail)) {
      out.push_back(StreamEnd{call, absl::OkStatus()});
      at = tails_.erase(at);
    } else {
      ++at;
    }
  }
}

std::shared_ptr<const api::TailLogsResponse> LogTails::TakeReady(Tail& tail) {
  Sent sent = std::move(tail.ready.front());
  tail.ready.pop_front();
  tail.in_flight = true;
  auto cursor = tail.cursors.find(sent.cursor);
  if (cursor != tail.cursors.end() && sent.message->notice().empty()) {
    cursor->second.piece_waits = false;
    SetIdle(tail, sent.cursor, cursor->second);
  }
  return std::move(sent.message);
}

// A cursor per instance and stream: new ones begin at the end of the queue, those of instances that
// are gone end.
void LogTails::UpdateCursors(Tail& tail, Sessions& sessions) {
  tail.instances_changed = false;
  const std::string& target = tail.request.name();
  std::set<std::string> names;
  if (!IsInstance(target)) {
    names = catalog_.InstancesOfApp(target);
  } else if (catalog_.instances.Find(target) != nullptr) {
    names.insert(target);
  }
  for (auto at = tail.cursors.begin(); at != tail.cursors.end();) {
    const Cursor& cursor = at->second;
    if (names.contains(at->first.first)) {
      ++at;
      continue;
    }
    if (cursor.command != 0) sessions.CancelCommand("nodes/" + cursor.node, cursor.command);
    if (cursor.busy) --tail.open_reads;
    at = tail.cursors.erase(at);
  }
  for (const std::string& name : names) {
    const api::Instance& instance = catalog_.instances.Find(name)->instance();
    for (api::LogStream stream : StreamsOf(tail.request)) {
      auto [cursor, is_new] = tail.cursors.try_emplace({name, stream});
      if (!is_new) continue;
      cursor->second.uid = instance.uid();
      cursor->second.node = instance.node();
      cursor->second.from_start = tail.opened;
      tail.turn.push_back(cursor->first);
    }
  }
  tail.opened = true;
  const bool exists = IsInstance(target) ? catalog_.instances.Find(target) != nullptr
                                         : catalog_.apps.Find(target) != nullptr;
  tail.gone = !exists;
}

void LogTails::Read(CallId call, Tail& tail, Sessions& sessions, const Moment& now) {
  for (size_t left = tail.turn.size(); left > 0 && tail.open_reads < kMaxOpenReads; --left) {
    const CursorKey key = tail.turn.front();
    tail.turn.pop_front();
    auto found = tail.cursors.find(key);
    if (found == tail.cursors.end() || found->second.finished) continue;
    Cursor& cursor = found->second;
    if (cursor.busy) continue;  // It comes back when it is idle.
    if (cursor.retry_at > now.boot || !Reachable(tail, key, cursor, sessions)) {
      if (!cursor.finished) tail.turn.push_back(key);
      continue;
    }
    Ask(call, tail, key, cursor, sessions, now);
  }
}

// Says once that a node does not answer, and once more when it does.
bool LogTails::Reachable(Tail& tail, const CursorKey& key, Cursor& cursor,
                         const Sessions& sessions) {
  if (sessions.Connected("nodes/" + cursor.node)) {
    cursor.noticed = false;
    return true;
  }
  bool told = std::exchange(cursor.noticed, true);
  for (api::LogStream stream : StreamsOf(tail.request)) {
    auto sibling = tail.cursors.find({key.first, stream});
    if (stream != key.second && sibling != tail.cursors.end()) told |= sibling->second.noticed;
  }
  if (!told) {
    Notice(tail, key,
           fmt::format(
               "node {} does not answer; {}", cursor.node,
               tail.request.follow() ? "its log goes on when it is back" : "its log is left out"));
  }
  if (!tail.request.follow()) cursor.finished = true;
  return false;
}

void LogTails::Ask(CallId call, Tail& tail, const CursorKey& key, Cursor& cursor,
                   Sessions& sessions, const Moment& now) {
  api::Command command;
  api::ReadLog& read = *command.mutable_read_log();
  read.set_instance_uid(cursor.uid);
  read.set_stream(key.second);
  read.set_max_bytes(kMaxPiece);
  const api::TailLogsRequest& request = tail.request;
  if (cursor.begun) {
    read.set_attempt(cursor.attempt);
    read.set_offset(cursor.offset);
  } else if (cursor.from_start || request.lines() < 0) {
    read.mutable_since()->set_seconds(1);  // The oldest that is kept.
  } else if (request.has_since()) {
    *read.mutable_since() = request.since();
    read.set_lines(request.lines());  // With both, what is less.
  } else {
    read.set_lines(request.lines() == 0 ? kDefaultLines : request.lines());
  }
  if (request.follow() && cursor.at_end) {
    const bool own_command = tail.cursors.size() <= kMaxOpenReads;
    read.mutable_wait()->set_seconds(absl::ToInt64Seconds(own_command ? kLongPoll : kShortPoll));
  }
  cursor.busy = true;
  cursor.got_piece = false;
  ++tail.open_reads;
  absl::StatusOr<int64_t> id = sessions.SendCommand(
      "nodes/" + cursor.node, std::move(command),
      [this, call, key](const api::LogChunk* chunk, const absl::Status& status) {
        Answer(call, key, chunk, status);
      });
  if (id.ok()) {
    cursor.command = *id;
    return;
  }
  cursor.retry_at = now.boot + kRetry;
  SetIdle(tail, key, cursor);
}

void LogTails::SetIdle(Tail& tail, const CursorKey& key, Cursor& cursor) {
  if (cursor.command != 0 || cursor.piece_waits || !std::exchange(cursor.busy, false)) return;
  --tail.open_reads;
  tail.turn.push_back(key);
}

void LogTails::Answer(CallId call, const CursorKey& key, const api::LogChunk* chunk,
                      const absl::Status& status) {
  auto tail = tails_.find(call);
  if (tail == tails_.end()) return;
  auto found = tail->second.cursors.find(key);
  if (found == tail->second.cursors.end() || !found->second.busy) return;
  if (chunk != nullptr) {
    TakePiece(tail->second, key, found->second, *chunk);
  } else {
    EndOfCommand(tail->second, key, found->second, status);
  }
}

void LogTails::TakePiece(Tail& tail, const CursorKey& key, Cursor& cursor,
                         const api::LogChunk& chunk) {
  cursor.begun = true;
  cursor.attempt = chunk.next_attempt();
  cursor.offset = chunk.next_offset();
  cursor.at_end = chunk.at_end();
  if (chunk.data().empty() && chunk.skipped() == 0) return;
  auto message = std::make_shared<api::TailLogsResponse>();
  message->set_instance(key.first);
  message->set_attempt(chunk.attempt());
  message->set_stream(key.second);
  message->set_offset(chunk.offset());
  message->set_data(chunk.data());
  message->set_skipped(chunk.skipped());
  tail.ready.push_back({key, std::move(message)});
  cursor.got_piece = cursor.piece_waits = true;
}

void LogTails::EndOfCommand(Tail& tail, const CursorKey& key, Cursor& cursor,
                            const absl::Status& status) {
  cursor.command = 0;
  const bool follow = tail.request.follow();
  if (absl::IsUnavailable(status)) {
    cursor.retry_at = now_.boot + kRetry;
  } else if (!status.ok()) {
    // An instance that has not started yet has no log.
    if (!absl::IsNotFound(status) && !std::exchange(cursor.noticed, true)) {
      Notice(tail, key, "its log cannot be read: " + std::string(status.message()));
    }
    cursor.retry_at = now_.boot + kRetry;
    cursor.finished = !follow;
  } else if (status.ok() && !cursor.got_piece) {
    if (!follow) cursor.finished = cursor.at_end || !cursor.begun;
    if (!cursor.begun) cursor.retry_at = now_.boot + kRetry;
  } else if (status.ok() && !follow && cursor.at_end) {
    cursor.finished = true;
  }
  SetIdle(tail, key, cursor);
}

void LogTails::Notice(Tail& tail, const CursorKey& key, const std::string& text) {
  auto message = std::make_shared<api::TailLogsResponse>();
  message->set_instance(key.first);
  message->set_stream(key.second);
  message->set_notice(text);
  tail.ready.push_back({key, std::move(message)});
}

bool LogTails::Done(const Tail& tail) const {
  if (!tail.ready.empty()) return false;
  if (tail.gone) return true;
  if (tail.request.follow()) return false;
  return std::all_of(tail.cursors.begin(), tail.cursors.end(), [](const auto& cursor) {
    return cursor.second.finished && !cursor.second.busy;
  });
}

}  // namespace appsup::entry
