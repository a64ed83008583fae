#include "agent/keeper/log_file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kBlock = 4096;

}  // namespace

absl::Status LogFile::Bound() {
  struct stat info;
  if (bound_ <= 0 || fstat(file_.get(), &info) != 0) return absl::OkStatus();
  if (info.st_size < punched_) punched_ = 0;  // Somebody truncated it.
  int64_t head = (info.st_size - bound_) / kBlock * kBlock;
  if (head <= punched_) return absl::OkStatus();
  if (fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, punched_,
                head - punched_) != 0) {
    int64_t bound = bound_;
    bound_ = 0;
    return SystemError(errno, absl::StrCat("keep log ", path_, " at ", bound, " bytes"));
  }
  punched_ = head;
  return absl::OkStatus();
}

}  // namespace appsup::keeper
