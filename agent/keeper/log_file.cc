#include "agent/keeper/log_file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kBlock = 4096;
constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kShortestPause = 20 * kNanosPerMilli;
constexpr int64_t kQuietPause = 100 * kNanosPerMilli;
constexpr int64_t kLongestPause = 1000 * kNanosPerMilli;
constexpr int64_t kPausePerLog = kNanosPerMilli / 4;  // 4,000 looks a second, whatever they hold.
constexpr int64_t kSlackShare = 8;

}  // namespace

int64_t LookPause(int64_t bound, int64_t grown, int64_t elapsed, int64_t quiet) {
  if (grown <= 0) return quiet;
  const double per_nano =
      static_cast<double>(grown) / static_cast<double>(std::max<int64_t>(elapsed, 1));
  const double pause = static_cast<double>(bound / kSlackShare) / per_nano;
  if (pause >= static_cast<double>(quiet)) return quiet;
  return std::max(static_cast<int64_t>(pause), std::min(kShortestPause, quiet));
}

int64_t QuietPause(size_t logs) {
  return std::clamp(static_cast<int64_t>(logs) * kPausePerLog, kQuietPause, kLongestPause);
}

absl::Status LogFile::Bound(int64_t now, int64_t quiet) {
  next_look_ = now + quiet;
  struct stat info;
  if (bound_ <= 0 || fstat(file_.get(), &info) != 0) return absl::OkStatus();
  const int64_t elapsed = last_look_ == 0 ? kQuietPause : now - last_look_;
  next_look_ = now + LookPause(bound_, info.st_size - size_, elapsed, quiet);
  last_look_ = now;
  size_ = info.st_size;
  if (info.st_size < punched_) punched_ = 0;  // Somebody truncated it.
  int64_t head = (info.st_size - bound_) / kBlock * kBlock;
  if (head <= punched_) return absl::OkStatus();
  if (fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, punched_,
                head - punched_) != 0) {
    int64_t bound = bound_;
    bound_ = 0;
    return SystemError(errno, absl::StrCat("keep a log at ", bound, " bytes"));
  }
  punched_ = head;
  return absl::OkStatus();
}

}  // namespace appsup::keeper
