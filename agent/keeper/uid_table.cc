#include "agent/keeper/uid_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/small_file.h"
#include "common/step_switch.h"

namespace appsup::keeper {
namespace {

constexpr size_t kMaxBytes = size_t{16} << 20;

}  // namespace

absl::Status UidTable::Open(const std::string& path, uid_t first, uid_t last) {
  path_ = path;
  next_ = first;
  last_ = last;
  file_ = UniqueFd(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!file_.valid()) return SystemError(errno, absl::StrCat("open ", path));
  auto text = ReadSmallFile(path, kMaxBytes);
  if (!text.ok()) return text.status();
  size_t begin = 0;
  for (size_t end; (end = text->find('\n', begin)) != std::string::npos; begin = end + 1) {
    std::string line = text->substr(begin, end - begin);
    size_t space = line.find(' ');
    uid_t uid;
    if (space == std::string::npos || !absl::SimpleAtoi(line.substr(0, space), &uid)) {
      return absl::DataLossError(absl::StrCat(
          "line \"", line, "\" of ", path, " makes no sense; it should be a user id and an app"));
    }
    uids_[line.substr(space + 1)] = uid;
    if (uid >= next_) next_ = uid + 1;
  }
  // A torn last line was never acted upon.
  if (begin < text->size() && truncate(path.c_str(), static_cast<off_t>(begin)) != 0) {
    return SystemError(errno, absl::StrCat("truncate ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<uid_t> UidTable::Get(const std::string& app_uid) {
  auto it = uids_.find(app_uid);
  if (it != uids_.end()) return it->second;
  if (next_ > last_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("all user ids for apps up to ", last_,
                     " have been given out; widen `uids` in this node's keeper.yaml"));
  }
  std::string line = absl::StrCat(next_, " ", app_uid, "\n");
  ssize_t n = write(file_.get(), line.data(), line.size());
  if (n != static_cast<ssize_t>(line.size())) {
    absl::Status status = SystemError(n < 0 ? errno : ENOSPC, absl::StrCat("write ", path_));
    // A half line would swallow the next one.
    off_t end = lseek(file_.get(), 0, SEEK_END);
    if (n > 0 && ftruncate(file_.get(), end - n) != 0) {
      return SystemError(errno, absl::StrCat("truncate ", path_));
    }
    return status;
  }
  APPSUP_STEP("user-chosen");
  dirty_ = true;
  uids_[app_uid] = next_;
  return next_++;
}

absl::Status UidTable::Sync() {
  if (!dirty_) return absl::OkStatus();
  if (fdatasync(file_.get()) != 0) return SystemError(errno, absl::StrCat("sync ", path_));
  APPSUP_STEP("users-durable");
  dirty_ = false;
  return absl::OkStatus();
}

}  // namespace appsup::keeper
