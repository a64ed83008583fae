#include "agent/keeper/folder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"

namespace appsup::keeper {
namespace {

constexpr mode_t kParentMode = 0711;
constexpr mode_t kLogMode = 0640;

bool IsRoot() { return geteuid() == 0; }

int OpenBeneath(int root, const std::string& rest, uint64_t flags) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root, rest.c_str(), &how, sizeof(how)));
}

absl::Status FolderError(int error, const std::string& what, const std::string& path) {
  std::string text = absl::StrCat(what, " ", path);
  if (error == ELOOP) text = absl::StrCat(text, " (a part of it is a symbolic link)");
  return SystemError(error, text);
}

absl::Status GiveTo(int fd, Identity owner, const std::string& path) {
  if (IsRoot() && fchown(fd, owner.uid, owner.gid) != 0) {
    return FolderError(errno, "change the owner of folder", path);
  }
  return absl::OkStatus();
}

// The folder that holds the last part of `path`, whose name goes to `name`. Makes what is missing.
absl::StatusOr<UniqueFd> OpenParent(const Policy& policy, const std::string& path,
                                    std::string* name) {
  auto rooted = BeneathRoot(policy, path);
  if (!rooted.ok()) return rooted.status();
  UniqueFd folder(open(rooted->root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return FolderError(errno, "open root folder", rooted->root);
  size_t last = rooted->rest.rfind('/');
  *name = rooted->rest.substr(last == std::string::npos ? 0 : last + 1);
  if (last == std::string::npos) return folder;

  std::string above = rooted->rest.substr(0, last);
  UniqueFd found(OpenBeneath(folder.get(), above, O_RDONLY | O_DIRECTORY));
  if (found.valid()) return found;
  if (errno != ENOENT) return FolderError(errno, "open folder above", path);
  for (size_t begin = 0; begin < above.size();) {
    size_t end = std::min(above.find('/', begin), above.size());
    std::string part = above.substr(begin, end - begin);
    bool made = mkdirat(folder.get(), part.c_str(), kParentMode) == 0;
    if (!made && errno != EEXIST) return FolderError(errno, "make folder above", path);
    UniqueFd next(OpenBeneath(folder.get(), part, O_RDONLY | O_DIRECTORY));
    if (!next.valid()) return FolderError(errno, "open folder above", path);
    if (made) {
      if (absl::Status s = GiveTo(next.get(), policy.agent, path); !s.ok()) return s;
      if (fchmod(next.get(), kParentMode) != 0) return FolderError(errno, "set mode above", path);
    }
    folder = std::move(next);
    begin = end + 1;
  }
  return folder;
}

// May the present owner lose this folder to an app?
bool OwnerMayChange(const Policy& policy, uid_t uid) {
  if (uid == geteuid() || uid == policy.agent.uid) return true;
  if (uid >= policy.first_uid && uid <= policy.last_uid) return true;
  for (const std::string& name : policy.users) {
    auto account = FindAccount(name);
    if (account.ok() && account->uid == uid) return true;
  }
  return false;
}

}  // namespace

absl::Status PrepareFolder(const Policy& policy, const std::string& path, Identity owner,
                           mode_t mode) {
  std::string name;
  auto parent = OpenParent(policy, path, &name);
  if (!parent.ok()) return parent.status();
  if (mkdirat(parent->get(), name.c_str(), 0700) != 0 && errno != EEXIST) {
    return FolderError(errno, "make folder", path);
  }
  UniqueFd folder(OpenBeneath(parent->get(), name, O_RDONLY | O_DIRECTORY));
  if (!folder.valid()) return FolderError(errno, "open folder", path);
  struct stat info;
  if (fstat(folder.get(), &info) != 0) return FolderError(errno, "look at folder", path);
  if (IsRoot() && !OwnerMayChange(policy, info.st_uid)) {
    return absl::PermissionDeniedError(
        absl::StrCat("folder ", path, " is refused: it belongs to user id ", info.st_uid,
                     ", which is neither the agent's nor an app's"));
  }
  if (absl::Status s = GiveTo(folder.get(), {owner.uid, policy.agent.gid}, path); !s.ok()) return s;
  if ((info.st_mode & 07777) == mode && info.st_uid == owner.uid) return absl::OkStatus();
  if (fchmod(folder.get(), mode) != 0) return FolderError(errno, "set the mode of folder", path);
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenLog(const Policy& policy, const std::string& path) {
  std::string name;
  auto parent = OpenParent(policy, path, &name);
  if (!parent.ok()) return parent.status();
  UniqueFd file(openat(parent->get(), name.c_str(),
                       O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                       kLogMode));
  if (!file.valid()) return FolderError(errno, "open log file", path);
  struct stat info;
  if (fstat(file.get(), &info) != 0) return FolderError(errno, "look at log file", path);
  if (!S_ISREG(info.st_mode) || info.st_nlink != 1 || info.st_uid != geteuid()) {
    return absl::PermissionDeniedError(
        absl::StrCat("log file ", path, " is refused: it exists and was not made by the keeper"));
  }
  if (IsRoot() && info.st_gid != policy.agent.gid &&
      fchown(file.get(), geteuid(), policy.agent.gid) != 0) {
    return FolderError(errno, "change the group of log file", path);
  }
  if ((info.st_mode & 07777) != kLogMode && fchmod(file.get(), kLogMode) != 0) {
    return FolderError(errno, "set the mode of log file", path);
  }
  // O_NONBLOCK was for a FIFO in the file's place; the app does not expect it.
  if (fcntl(file.get(), F_SETFL, O_APPEND) != 0) return FolderError(errno, "open log file", path);
  return file;
}

}  // namespace appsup::keeper
