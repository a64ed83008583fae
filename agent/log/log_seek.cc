#include "agent/log/log_seek.h"

#include <algorithm>
#include <string>
#include <vector>

#include "agent/log/log_file.h"
#include "agent/log/log_index.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::LogStream;
using appsupervisor::v1::ReadLog;

// Times of files come from the kernel's tick and may lie this far behind the clock.
constexpr absl::Duration kFileTimeSlack = absl::Milliseconds(20);

// The last `lines` lines of `attempts` together.
absl::StatusOr<LogPosition> StartOfLines(const LogFolder& folder, const ReadLog& request,
                                         const std::vector<int64_t>& attempts) {
  LogPosition start{attempts.back(), 0};
  int wanted = request.lines();
  for (auto attempt = attempts.rbegin(); attempt != attempts.rend() && wanted > 0; ++attempt) {
    const auto file =
        LogFile::Open(folder.LogPath(request.instance_uid(), *attempt, request.stream()));
    if (absl::IsNotFound(file.status())) continue;  // Deleted since it was listed.
    RETURN_IF_ERROR(file.status());
    int found = 0;
    ASSIGN_OR_RETURN(start.offset, file->LinesBack(wanted, &found));
    start.attempt = *attempt;
    wanted -= found;
  }
  return start;
}

absl::StatusOr<LogPosition> StartOfTime(const LogFolder& folder, const ReadLog& request,
                                        const std::vector<int64_t>& attempts) {
  const absl::Time since =
      absl::FromUnixSeconds(request.since().seconds()) + absl::Nanoseconds(request.since().nanos());
  LogPosition start{attempts.back(), 0};
  for (const int64_t attempt : attempts) {
    const std::string path = folder.LogPath(request.instance_uid(), attempt, request.stream());
    const auto file = LogFile::Open(path);
    if (absl::IsNotFound(file.status())) continue;
    RETURN_IF_ERROR(file.status());
    start = {attempt, file->size()};
    if (file->modified() + kFileTimeSlack < since) continue;  // Nothing in it is new enough.
    ASSIGN_OR_RETURN(const int64_t offset, LogIndex(LogFolder::IndexPath(path)).Find(since));
    ASSIGN_OR_RETURN(start.offset, file->LineStart(std::max(offset, file->FirstData())));
    return start;
  }
  return start;
}

absl::Status NoLog(const ReadLog& request, const std::string& what) {
  return MakeError(absl::StatusCode::kNotFound, "LOG_NOT_FOUND",
                   what + " of instance " + request.instance_uid() + " on this node",
                   {{"instance", request.instance_uid()}});
}

}  // namespace

absl::Status CheckReadLog(const ReadLog& request) {
  std::string fault;
  if (!LogFolder::IsUid(request.instance_uid())) {
    fault = "instance_uid: \"" + request.instance_uid() + "\" is no uid";
  } else if (request.stream() != LogStream::LOG_STREAM_STDOUT &&
             request.stream() != LogStream::LOG_STREAM_STDERR) {
    fault = "stream: must be STDOUT or STDERR";
  } else if (request.attempt() < 0 || request.offset() < 0 || request.lines() < 0 ||
             request.max_bytes() < 0) {
    fault = "attempt, offset, lines, max_bytes: must not be below 0";
  } else {
    return absl::OkStatus();
  }
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_READ_LOG", fault);
}

absl::StatusOr<LogPosition> FindStart(const LogFolder& folder, const ReadLog& request) {
  std::vector<int64_t> attempts = folder.Attempts(request.instance_uid(), request.stream());
  if (attempts.empty()) return NoLog(request, "there is no log");
  const bool seeks = request.lines() > 0 || request.has_since();
  if (request.attempt() > 0) {
    const auto at = std::lower_bound(attempts.begin(), attempts.end(), request.attempt());
    if (at == attempts.end()) {
      return NoLog(request, "there is no log of attempt " + std::to_string(request.attempt()));
    }
    if (!seeks) return LogPosition{*at, *at == request.attempt() ? request.offset() : 0};
    attempts = {*at};
  }
  if (!seeks) return LogPosition{attempts.back(), request.offset()};
  LogPosition start;
  if (request.lines() > 0) {
    ASSIGN_OR_RETURN(start, StartOfLines(folder, request, attempts));
  }
  if (request.has_since()) {
    ASSIGN_OR_RETURN(const LogPosition by_time, StartOfTime(folder, request, attempts));
    start = std::max(start, by_time);
  }
  return start;
}

}  // namespace appsup::agent
