#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/log/log_folder.h"
#include "appsupervisor/v1/link.pb.h"
#include "common/clock.h"
#include "common/event_loop.h"

namespace appsup::agent {

// Reads what apps write. An app appends directly to `<log_dir>/<instance uid>/<attempt>.stdout` and
// `.stderr`; the keeper frees the head by punching holes, so an offset never moves. Beside each
// file lies a sparse time index, `<attempt>.stdout.index`, that this class writes.
//
// Loop thread only. Reads at most 256 KiB at a time from local files, which blocks for as long as
// the disk needs. Waiting is by inotify: nothing is polled. Destroyed before the loop.
class LogReader {
 public:
  using ReadId = uint64_t;  // Never 0.
  using ReadCallback = absl::AnyInvocable<void(absl::StatusOr<appsupervisor::v1::LogChunk>)>;

  static constexpr int kMaxChunkBytes = 256 << 10;
  static constexpr int kMaxLineBytes = 64 << 10;  // A longer line is delivered in pieces.
  static constexpr absl::Duration kMaxWait = absl::Seconds(30);
  // An unfinished last line of a running attempt is delivered once it has rested for this long.
  static constexpr absl::Duration kPartialLineRest = absl::Seconds(1);
  static constexpr size_t kMaxReads = 1000;  // Waiting at one time.

  // INTERNAL or RESOURCE_EXHAUSTED if the kernel gives no inotify.
  static absl::StatusOr<std::unique_ptr<LogReader>> Create(EventLoop& loop, Clock& clock,
                                                           LogFolderOptions options);
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  // The process of this attempt was started or adopted: it is indexed from now on, and attempts
  // beyond the bounds are deleted. Without it a log is readable but taken as ended.
  void AttemptStarted(const std::string& uid, int64_t attempt);
  // Its process is gone: what is left of an unfinished line may be delivered.
  void AttemptEnded(const std::string& uid, int64_t attempt);

  // Answers as link.proto says (all fields but command_id), once, on the loop thread and never from
  // within Read. Offsets in a freed head come back as `skipped`; at the end of an attempt reading
  // goes on with the next one. INVALID_ARGUMENT (uid, stream, negative numbers), NOT_FOUND (no log
  // of this instance), RESOURCE_EXHAUSTED (kMaxReads).
  ReadId Read(const appsupervisor::v1::ReadLog& request, ReadCallback callback);
  // Drops the callback. Nothing if it was answered.
  void Cancel(ReadId id);

  // For failure messages: the newest lines, oldest first, valid UTF-8; those of stderr, and if
  // they are fewer than `lines`, before them those of stdout. Empty if there is no log.
  std::vector<std::string> LastLines(const std::string& uid, int64_t attempt, int lines = 20,
                                     int max_characters = 400);

  // The instance is gone; its logs stay readable for keep_removed.
  void RemoveInstance(const std::string& uid);

  // Deletes what is due; an instance that is on disk but not in `held` counts as removed from now
  // on. To be called about once a minute.
  void Sweep(const std::set<std::string>& held);

 private:
  struct State;
  explicit LogReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace appsup::agent
