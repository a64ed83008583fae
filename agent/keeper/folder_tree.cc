#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/folder.h"

namespace appsup::keeper {
namespace {

// Deeper trees are refused: each level holds a file descriptor.
constexpr int kMaxDepth = 256;
constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct Closer {
  void operator()(DIR* dir) const { closedir(dir); }
};

// Opens every part without following links, from the root down.
absl::StatusOr<UniqueFd> OpenExisting(const Policy& policy, const std::string& path,
                                      std::string* name) {
  auto rooted = BeneathRoot(policy, path);
  if (!rooted.ok()) return rooted.status();
  UniqueFd folder(open(rooted->root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::string rest = rooted->rest;
  for (size_t slash; folder.valid() && (slash = rest.find('/')) != std::string::npos;) {
    folder = UniqueFd(openat(folder.get(), rest.substr(0, slash).c_str(), kOpenFolder));
    rest = rest.substr(slash + 1);
  }
  if (!folder.valid()) return SystemError(errno, absl::StrCat("open the folder above ", path));
  *name = rest;
  return folder;
}

// Calls `visit(folder fd, name)` for what is in the folder; takes the fd.
absl::Status ForEach(UniqueFd folder, const std::string& path,
                     const std::function<absl::Status(int, const char*)>& visit) {
  int copy = dup(folder.get());
  std::unique_ptr<DIR, Closer> dir(copy >= 0 ? fdopendir(copy) : nullptr);
  if (dir == nullptr) return SystemError(errno, absl::StrCat("read folder ", path));
  absl::Status first;
  while (true) {
    errno = 0;
    dirent* entry = readdir(dir.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    first.Update(visit(folder.get(), entry->d_name));
  }
  if (errno != 0) return SystemError(errno, absl::StrCat("read folder ", path));
  return first;
}

absl::Status RemoveAt(int parent, const std::string& name, const std::string& path, int depth) {
  if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return SystemError(errno, absl::StrCat("remove ", path));
  UniqueFd folder(openat(parent, name.c_str(), kOpenFolder));
  if (!folder.valid() && errno == EACCES) {
    // Without root, a folder that its owner closed for itself.
    if (fchmodat(parent, name.c_str(), 0700, 0) == 0) {
      folder = UniqueFd(openat(parent, name.c_str(), kOpenFolder));
    }
  }
  if (!folder.valid()) return SystemError(errno, absl::StrCat("remove ", path));
  if (depth >= kMaxDepth) {
    return absl::FailedPreconditionError(
        absl::StrCat("remove ", path, ": folders lie deeper than ", kMaxDepth, " levels"));
  }
  struct stat info;
  if (fstat(folder.get(), &info) == 0 && (info.st_mode & 0700) != 0700) {
    fchmod(folder.get(), 0700);
  }
  absl::Status inside = ForEach(std::move(folder), path, [&](int fd, const char* child) {
    return RemoveAt(fd, child, absl::StrCat(path, "/", child), depth + 1);
  });
  if (!inside.ok()) return inside;
  if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return absl::OkStatus();
  return SystemError(errno, absl::StrCat("remove ", path));
}

absl::Status AdoptAt(const Policy& policy, int parent, const char* name, const std::string& path,
                     Identity owner, int depth) {
  UniqueFd item(openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (!item.valid() || fstat(item.get(), &info) != 0) {
    return SystemError(errno, absl::StrCat("look at ", path));
  }
  bool folder = S_ISDIR(info.st_mode);
  // The inode is held by `item`, so what was seen of it is what changes hands.
  if (info.st_uid == policy.agent.uid && (folder || info.st_nlink == 1) &&
      fchownat(item.get(), "", owner.uid, policy.agent.gid, AT_EMPTY_PATH) != 0) {
    return SystemError(errno, absl::StrCat("change the owner of ", path));
  }
  if (!folder) return absl::OkStatus();
  if (depth >= kMaxDepth) {
    return absl::FailedPreconditionError(
        absl::StrCat("change the owner of ", path, ": deeper than ", kMaxDepth, " levels"));
  }
  UniqueFd opened(openat(parent, name, kOpenFolder));
  if (!opened.valid()) return SystemError(errno, absl::StrCat("open folder ", path));
  return ForEach(std::move(opened), path, [&](int fd, const char* child) {
    return AdoptAt(policy, fd, child, absl::StrCat(path, "/", child), owner, depth + 1);
  });
}

}  // namespace

absl::Status RemoveTree(const Policy& policy, const std::string& path) {
  std::string name;
  auto parent = OpenExisting(policy, path, &name);
  if (absl::IsNotFound(parent.status())) return absl::OkStatus();
  if (!parent.ok()) return parent.status();
  return RemoveAt(parent->get(), name, path, 0);
}

absl::Status AdoptTree(const Policy& policy, const std::string& path, Identity owner) {
  if (geteuid() != 0) return absl::OkStatus();
  std::string name;
  auto parent = OpenExisting(policy, path, &name);
  if (!parent.ok()) return parent.status();
  return AdoptAt(policy, parent->get(), name.c_str(), path, owner, 0);
}

}  // namespace appsup::keeper
