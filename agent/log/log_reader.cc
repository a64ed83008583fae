#include "agent/log/log_reader.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "agent/log/log_file.h"
#include "agent/log/log_index.h"
#include "agent/log/log_seek.h"
#include "agent/log/log_watch.h"
#include "common/log.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::LogChunk;
using appsupervisor::v1::LogStream;
using appsupervisor::v1::ReadLog;

constexpr LogStream kStreams[] = {LogStream::LOG_STREAM_STDERR, LogStream::LOG_STREAM_STDOUT};
// Least time between two entries of an index, and between two looks at a busy log without readers.
constexpr absl::Duration kIndexEvery = absl::Seconds(1);
constexpr int kTailBytes = 64 << 10;  // Of a stream, for LastLines.

// An instance with a running process or a waiting reader.
struct Instance {
  std::set<int64_t> live;  // Attempts whose process runs.
  std::set<LogReader::ReadId> waiting;
  std::map<std::string, int64_t> indexed;  // Path of a log -> size in its newest index entry.
  int watch = -1;                          // Not while a busy log rests until `timer`.
  EventLoop::TimerId timer = 0;            // Next look at the sizes.
};

struct PendingRead {
  ReadLog request;
  LogReader::ReadCallback callback;
  absl::Duration deadline;  // Boot time.
  EventLoop::TimerId timer = 0;
};

struct ReadOutcome {
  absl::StatusOr<LogChunk> chunk;
  // When an unfinished line that was held back may be taken as it is.
  std::optional<absl::Duration> partial_rests_in = std::nullopt;
};

}  // namespace

struct LogReader::State {
  State(EventLoop& loop_in, Clock& clock_in, LogFolderOptions options)
      : loop(loop_in), clock(clock_in), folder(std::move(options)) {}

  ~State() {
    for (auto& [uid, instance] : instances) loop.CancelTimer(instance.timer);
    for (auto& [id, read] : reads) loop.CancelTimer(read.timer);
  }

  // --- Watching and indexing ---

  void Arm(const std::string& uid, Instance& instance) {
    if (instance.watch >= 0) return;
    const auto added = watch->Add(folder.InstanceDir(uid), /*writes=*/true,
                                  [this, uid](const std::string&) { OnChange(uid); });
    if (added.ok()) {
      instance.watch = *added;
      return;
    }
    if (absl::IsNotFound(added.status())) return;  // OnChange follows when it is made.
    // Without a watch the sizes are looked at once a second.
    if (!watch_failed) Log(LogLevel::kWarning, "log-watch-failed", {{"error", added.status()}});
    watch_failed = true;
    LookLater(uid, instance);
  }

  void Disarm(Instance& instance) {
    if (instance.watch >= 0) watch->Remove(instance.watch);
    instance.watch = -1;
  }

  void LookLater(const std::string& uid, Instance& instance) {
    if (instance.timer != 0) return;
    instance.timer = loop.AddTimer(clock.Now().boot + kIndexEvery, [this, uid] {
      const auto found = instances.find(uid);
      if (found == instances.end()) return;
      found->second.timer = 0;
      Arm(uid, found->second);
      Index(uid, found->second);
      if (found->second.watch < 0) WakeReaders(uid);
    });
  }

  void OnChange(const std::string& uid) {
    const auto found = instances.find(uid);
    if (found == instances.end()) return;
    Arm(uid, found->second);
    WakeReaders(uid);
    const auto still = instances.find(uid);
    if (still == instances.end() || still->second.live.empty()) return;
    LookLater(uid, still->second);
    // A busy app must not wake the agent with each of its writes.
    if (still->second.waiting.empty()) Disarm(still->second);
  }

  void Index(const std::string& uid, Instance& instance) {
    for (const int64_t attempt : instance.live) {
      for (const LogStream stream : kStreams) {
        const std::string path = folder.LogPath(uid, attempt, stream);
        const auto file = LogFile::Open(path);
        if (!file.ok()) continue;  // Nothing was written yet.
        const auto known = instance.indexed.find(path);
        if (known != instance.indexed.end() && known->second == file->size()) continue;
        instance.indexed[path] = file->size();
        const absl::Status appended =
            LogIndex(LogFolder::IndexPath(path))
                .Append(clock.Now().wall, file->size(), file->FirstData());
        if (!appended.ok() && !index_failed) {
          Log(LogLevel::kWarning, "log-index-failed", {{"instance", uid}, {"error", appended}});
        }
        index_failed = !appended.ok();
      }
    }
  }

  void DropIfIdle(const std::string& uid) {
    const auto found = instances.find(uid);
    if (found == instances.end()) return;
    if (!found->second.live.empty() || !found->second.waiting.empty()) return;
    Disarm(found->second);
    loop.CancelTimer(found->second.timer);
    instances.erase(found);
  }

  // --- Reading ---

  void WakeReaders(const std::string& uid) {
    const auto found = instances.find(uid);
    if (found == instances.end()) return;
    const std::set<ReadId> waiting = found->second.waiting;
    for (const ReadId id : waiting) Step(id);
  }

  // Answers a read or lets it wait (on).
  void Step(ReadId id) {
    const auto found = reads.find(id);
    if (found == reads.end()) return;
    PendingRead& read = found->second;
    loop.CancelTimer(read.timer);
    const absl::Duration now = clock.Now().boot;
    const bool may_wait = now < read.deadline;
    const std::string uid = read.request.instance_uid();
    if (may_wait) {
      // Watched first, so that nothing is missed in between.
      Instance& instance = instances[uid];
      instance.waiting.insert(id);
      Arm(uid, instance);
    }
    ReadOutcome outcome = TryRead(read.request);
    const bool nothing = outcome.chunk.ok() ? outcome.chunk->data().empty()
                                            : absl::IsNotFound(outcome.chunk.status());
    if (!nothing || !may_wait) return Answer(id, std::move(outcome.chunk));
    absl::Duration wake = read.deadline;
    if (outcome.partial_rests_in) wake = std::min(wake, now + *outcome.partial_rests_in);
    read.timer = loop.AddTimer(wake, [this, id] { Step(id); });
  }

  void Answer(ReadId id, absl::StatusOr<LogChunk> chunk) {
    ReadCallback callback = Forget(id);
    callback(std::move(chunk));
  }

  ReadCallback Forget(ReadId id) {
    PendingRead read = std::move(reads.at(id));
    reads.erase(id);
    loop.CancelTimer(read.timer);
    const std::string& uid = read.request.instance_uid();
    if (const auto found = instances.find(uid); found != instances.end()) {
      found->second.waiting.erase(id);
    }
    DropIfIdle(uid);
    return std::move(read.callback);
  }

  ReadOutcome TryRead(const ReadLog& request) {
    const auto start = FindStart(folder, request);
    if (!start.ok()) return {start.status()};
    std::vector<int64_t> attempts = folder.Attempts(request.instance_uid(), request.stream());
    attempts.erase(attempts.begin(),
                   std::lower_bound(attempts.begin(), attempts.end(), start->attempt));
    ReadOutcome outcome{absl::NotFoundError("the log was just deleted")};
    for (const int64_t attempt : attempts) {
      const int64_t offset = attempt == start->attempt ? start->offset : 0;
      outcome = ReadAttempt(request, {attempt, offset}, attempt == attempts.back());
      if (absl::IsNotFound(outcome.chunk.status())) continue;
      if (!outcome.chunk.ok() || !outcome.chunk->data().empty()) break;
    }
    return outcome;
  }

  ReadOutcome ReadAttempt(const ReadLog& request, const LogPosition& from, bool newest) {
    const std::string& uid = request.instance_uid();
    const auto file = LogFile::Open(folder.LogPath(uid, from.attempt, request.stream()));
    if (!file.ok()) return {file.status()};
    const auto instance = instances.find(uid);
    const bool live = instance != instances.end() && instance->second.live.count(from.attempt) > 0;
    const absl::Duration rest = kPartialLineRest - (clock.Now().wall - file->modified());
    const int max_bytes =
        request.max_bytes() == 0 ? kMaxChunkBytes : std::min(request.max_bytes(), kMaxChunkBytes);
    auto piece = file->Read(from.offset, max_bytes, kMaxLineBytes,
                            /*take_partial=*/!live || rest <= absl::ZeroDuration());
    if (!piece.ok()) return {piece.status()};
    LogChunk chunk;
    chunk.set_attempt(from.attempt);
    chunk.set_stream(request.stream());
    chunk.set_offset(piece->offset);
    chunk.set_skipped(std::max<int64_t>(0, piece->offset - from.offset));
    chunk.set_next_attempt(from.attempt);
    chunk.set_next_offset(piece->offset + static_cast<int64_t>(piece->data.size()));
    chunk.set_at_end(newest && (piece->partial || chunk.next_offset() >= file->size()));
    chunk.set_data(std::move(piece->data));
    ReadOutcome outcome{std::move(chunk)};
    // A clock that was set back does not make it longer.
    if (piece->partial) outcome.partial_rests_in = std::min(rest, kPartialLineRest);
    return outcome;
  }

  EventLoop& loop;
  Clock& clock;
  const LogFolder folder;
  std::unique_ptr<LogWatch> watch;
  std::map<std::string, Instance> instances;
  std::map<ReadId, PendingRead> reads;
  ReadId next_id = 1;
  bool watch_failed = false;  // Each is logged when it begins.
  bool index_failed = false;
};

absl::StatusOr<std::unique_ptr<LogReader>> LogReader::Create(EventLoop& loop, Clock& clock,
                                                             LogFolderOptions options) {
  auto state = std::make_unique<State>(loop, clock, std::move(options));
  ASSIGN_OR_RETURN(state->watch, LogWatch::Create(loop));
  State* const self = state.get();
  RETURN_IF_ERROR(self->watch->Add(self->folder.root(), /*writes=*/false,
                                   [self](const std::string& name) { self->OnChange(name); }));
  return std::unique_ptr<LogReader>(new LogReader(std::move(state)));
}

LogReader::LogReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LogReader::~LogReader() = default;

void LogReader::AttemptStarted(const std::string& uid, int64_t attempt) {
  Instance& instance = state_->instances[uid];
  instance.live.insert(attempt);
  state_->folder.Prune(uid, instance.live);
  state_->Arm(uid, instance);
  state_->Index(uid, instance);
}

void LogReader::AttemptEnded(const std::string& uid, int64_t attempt) {
  const auto found = state_->instances.find(uid);
  if (found == state_->instances.end() || found->second.live.count(attempt) == 0) return;
  state_->Index(uid, found->second);
  found->second.live.erase(attempt);
  for (const LogStream stream : kStreams) {
    found->second.indexed.erase(state_->folder.LogPath(uid, attempt, stream));
  }
  // From here on an unfinished line is a line. Not from within: the callbacks are the caller's.
  for (const ReadId id : found->second.waiting) {
    PendingRead& read = state_->reads.at(id);
    state_->loop.CancelTimer(read.timer);
    read.timer = state_->loop.AddTimer(state_->clock.Now().boot,
                                       [state = state_.get(), id] { state->Step(id); });
  }
  state_->DropIfIdle(uid);
}

LogReader::ReadId LogReader::Read(const ReadLog& request, ReadCallback callback) {
  const ReadId id = state_->next_id++;
  PendingRead& read = state_->reads[id];
  read.callback = std::move(callback);
  read.request = request;
  absl::Status fault = CheckReadLog(request);
  if (fault.ok() && state_->reads.size() > kMaxReads) {
    fault = MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_READERS",
                      "this node has " + std::to_string(kMaxReads) +
                          " readers of logs waiting, the most it may; try again");
  }
  const absl::Duration now = state_->clock.Now().boot;
  const absl::Duration wait =
      absl::Seconds(request.wait().seconds()) + absl::Nanoseconds(request.wait().nanos());
  read.deadline = now + std::min(wait, kMaxWait);
  read.timer = state_->loop.AddTimer(now, [state = state_.get(), id, fault] {
    if (fault.ok()) return state->Step(id);
    state->Answer(id, fault);
  });
  return id;
}

void LogReader::Cancel(ReadId id) {
  if (state_->reads.count(id) > 0) state_->Forget(id);
}

std::vector<std::string> LogReader::LastLines(const std::string& uid, int64_t attempt, int lines,
                                              int max_characters) {
  std::vector<std::string> tail;
  for (const LogStream stream : kStreams) {
    const int wanted = lines - static_cast<int>(tail.size());
    const auto file = LogFile::Open(state_->folder.LogPath(uid, attempt, stream));
    if (!file.ok() || wanted <= 0) continue;
    int found = 0;
    const auto start = file->LinesBack(wanted, &found);
    if (!start.ok()) continue;
    const auto piece = file->Read(std::max(*start, file->size() - kTailBytes), kTailBytes,
                                  kTailBytes, /*take_partial=*/true);
    if (!piece.ok()) continue;
    std::vector<std::string> more = TailLines(piece->data, wanted, max_characters);
    tail.insert(tail.begin(), more.begin(), more.end());
  }
  return tail;
}

void LogReader::RemoveInstance(const std::string& uid) {
  if (const auto found = state_->instances.find(uid); found != state_->instances.end()) {
    const std::set<int64_t> live = found->second.live;
    for (const int64_t attempt : live) AttemptEnded(uid, attempt);
  }
  state_->folder.MarkRemoved(uid);
}

void LogReader::Sweep(const std::set<std::string>& held) {
  state_->folder.Sweep(state_->clock.Now().wall, held);
}

}  // namespace appsup::agent
