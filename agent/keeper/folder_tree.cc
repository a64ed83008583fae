#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/folder.h"

namespace appsup::keeper {
namespace {

// Each level of a walk holds two file descriptors.
constexpr int kMaxWalk = 32;
// Deeper trees are not given to anybody.
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

// Opens a folder so that what is in it can be removed.
absl::StatusOr<UniqueFd> OpenToEmpty(int parent, const std::string& name, const std::string& path) {
  UniqueFd folder(openat(parent, name.c_str(), kOpenFolder));
  if (!folder.valid() && errno == EACCES) {
    // Without root, a folder that its owner closed for itself.
    if (fchmodat(parent, name.c_str(), 0700, 0) == 0) {
      folder = UniqueFd(openat(parent, name.c_str(), kOpenFolder));
    }
  }
  if (!folder.valid()) return SystemError(errno, absl::StrCat("remove ", path));
  struct stat info;
  if (fstat(folder.get(), &info) == 0 && (info.st_mode & 0700) != 0700) {
    fchmod(folder.get(), 0700);
  }
  return folder;
}

// Removes a tree of any depth with a bounded number of file descriptors: what lies deeper than one
// walk reaches is moved up into the tree's top folder, for the next walk. Moving needs no path, so
// nothing that is done to the tree meanwhile leads out of it.
class TreeRemover {
 public:
  absl::Status Run(int parent, const std::string& name, const std::string& path) {
    bool folder = false;
    if (absl::Status s = Unlink(parent, name, path, &folder); !s.ok() || !folder) return s;
    auto top = OpenToEmpty(parent, name, path);
    if (!top.ok()) return top.status();
    top_ = top->get();
    uint64_t before;
    do {
      before = lifted_;
      UniqueFd again(openat(top_, ".", kOpenFolder));
      if (!again.valid()) return SystemError(errno, absl::StrCat("remove ", path));
      if (absl::Status s = Empty(std::move(again), path, 1); !s.ok()) return s;
    } while (lifted_ > before);
    return RemoveEmpty(parent, name, path);
  }

 private:
  static absl::Status Unlink(int parent, const std::string& name, const std::string& path,
                             bool* folder) {
    if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
    *folder = errno == EISDIR || errno == EPERM;
    return *folder ? absl::OkStatus() : SystemError(errno, absl::StrCat("remove ", path));
  }

  static absl::Status RemoveEmpty(int parent, const std::string& name, const std::string& path) {
    if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
      return absl::OkStatus();
    }
    return SystemError(errno, absl::StrCat("remove ", path));
  }

  absl::Status Empty(UniqueFd folder, const std::string& path, int depth) {
    return ForEach(std::move(folder), path, [&](int fd, const char* child) {
      return RemoveAt(fd, child, absl::StrCat(path, "/", child), depth);
    });
  }

  absl::Status RemoveAt(int parent, const std::string& name, const std::string& path, int depth) {
    bool is_folder = false;
    if (absl::Status s = Unlink(parent, name, path, &is_folder); !s.ok() || !is_folder) return s;
    auto folder = OpenToEmpty(parent, name, path);
    if (!folder.ok()) return folder.status();
    if (depth >= kMaxWalk) return Lift(parent, name, path);
    if (absl::Status s = Empty(*std::move(folder), path, depth + 1); !s.ok()) return s;
    return RemoveEmpty(parent, name, path);
  }

  absl::Status Lift(int parent, const std::string& name, const std::string& path) {
    while (true) {
      std::string place = absl::StrCat("lifted-", lifted_++);
      // An empty folder of that name is replaced; it would have been removed anyway.
      if (renameat(parent, name.c_str(), top_, place.c_str()) == 0) return absl::OkStatus();
      if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
        return SystemError(errno, absl::StrCat("move up, to remove it, ", path));
      }
    }
  }

  int top_ = -1;
  uint64_t lifted_ = 0;  // Tries to move something up.
};

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
  return TreeRemover().Run(parent->get(), name, path);
}

absl::Status AdoptTree(const Policy& policy, const std::string& path, Identity owner) {
  if (geteuid() != 0) return absl::OkStatus();
  std::string name;
  auto parent = OpenExisting(policy, path, &name);
  if (!parent.ok()) return parent.status();
  return AdoptAt(policy, parent->get(), name.c_str(), path, owner, 0);
}

}  // namespace appsup::keeper
