#include "agent/artifact/tree_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/artifact/artifact_error.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kFolderMode = 0755;
constexpr int kOpenFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

absl::Status Refuse(const std::string& name, const std::string& why) {
  return InvalidArtifact("the archive's entry \"" + name + "\" " + why);
}

// The parts of a relative name; "." and doubled slashes are dropped.
absl::StatusOr<std::vector<std::string>> Split(const std::string& name) {
  if (!name.empty() && name[0] == '/') return Refuse(name, "has an absolute path");
  std::vector<std::string> parts;
  for (size_t at = 0; at <= name.size();) {
    const size_t slash = std::min(name.find('/', at), name.size());
    std::string part = name.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return Refuse(name, "leads out of the folder by \"..\"");
    parts.push_back(std::move(part));
  }
  return parts;
}

// Whether `target`, seen from `depth` folders below the root, climbs above it by its text alone.
bool Climbs(const std::string& target, size_t depth) {
  for (const fs::path& part : fs::path(target)) {
    if (part == "..") {
      if (depth == 0) return true;
      --depth;
    } else if (!part.empty() && part != ".") {
      ++depth;
    }
  }
  return false;
}

bool IsWithin(const std::string& path, const std::string& root) {
  return path == root || path.rfind(root + "/", 0) == 0;
}

struct OwnedFd {
  int fd;
  ~OwnedFd() { close(fd); }
};

}  // namespace

absl::StatusOr<TreeWriter> TreeWriter::Open(const std::string& root) {
  std::error_code error;
  const fs::path canonical = fs::canonical(root, error);
  if (error) return ArtifactDiskError(error.value(), "resolve " + root);
  const int fd = open(canonical.c_str(), kOpenFolder);
  if (fd < 0) return ArtifactDiskError(errno, "open " + root);
  return TreeWriter(canonical.string(), fd);
}

TreeWriter::TreeWriter(TreeWriter&& other) noexcept
    : root_(std::move(other.root_)),
      fd_(std::exchange(other.fd_, -1)),
      links_(std::move(other.links_)) {}

TreeWriter::~TreeWriter() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<int> TreeWriter::OpenParent(const std::string& name,
                                           const std::vector<std::string>& parts, bool make) const {
  int parent = openat(fd_, ".", kOpenFolder);
  if (parent < 0) return ArtifactDiskError(errno, "open " + root_);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const OwnedFd above{parent};
    if (make && mkdirat(above.fd, parts[i].c_str(), kFolderMode) == 0) {
      // Not left to the umask.
      fchmodat(above.fd, parts[i].c_str(), kFolderMode, 0);
    } else if (make && errno != EEXIST) {
      return ArtifactDiskError(errno, "make a folder for " + name);
    }
    parent = openat(above.fd, parts[i].c_str(), kOpenFolder);
    if (parent < 0 && (errno == ELOOP || errno == ENOTDIR)) {
      return Refuse(name, "lies below \"" + parts[i] + "\", which is no folder");
    }
    if (parent < 0) return ArtifactDiskError(errno, "open the folder of " + name);
  }
  return parent;
}

absl::Status TreeWriter::MakeRoom(int parent, const std::string& leaf,
                                  const std::string& name) const {
  if (unlinkat(parent, leaf.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno == EISDIR) return Refuse(name, "has the name of a folder");
  return ArtifactDiskError(errno, "replace " + name);
}

absl::Status TreeWriter::AddFolder(const std::string& name) {
  ASSIGN_OR_RETURN(std::vector<std::string> parts, Split(name));
  parts.push_back("");  // The folder is the parent of nothing.
  ASSIGN_OR_RETURN(const int parent, OpenParent(name, parts, /*make=*/true));
  close(parent);
  return absl::OkStatus();
}

absl::StatusOr<int> TreeWriter::AddFile(const std::string& name, bool executable) {
  ASSIGN_OR_RETURN(const std::vector<std::string> parts, Split(name));
  if (parts.empty()) return Refuse(name, "has no name");
  ASSIGN_OR_RETURN(const int parent_fd, OpenParent(name, parts, /*make=*/true));
  const OwnedFd parent{parent_fd};
  RETURN_IF_ERROR(MakeRoom(parent.fd, parts.back(), name));
  const int fd = openat(parent.fd, parts.back().c_str(),
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return ArtifactDiskError(errno, "create " + name);
  if (fchmod(fd, executable ? 0755 : 0644) != 0) {
    const int error = errno;
    close(fd);
    return ArtifactDiskError(error, "set the mode of " + name);
  }
  return fd;
}

absl::Status TreeWriter::AddSymlink(const std::string& name, const std::string& target) {
  ASSIGN_OR_RETURN(const std::vector<std::string> parts, Split(name));
  if (parts.empty()) return Refuse(name, "has no name");
  if (target.empty() || target[0] == '/' || Climbs(target, parts.size() - 1)) {
    return Refuse(name, "is a link to \"" + target + "\", which lies outside of the folder");
  }
  ASSIGN_OR_RETURN(const int parent_fd, OpenParent(name, parts, /*make=*/true));
  const OwnedFd parent{parent_fd};
  RETURN_IF_ERROR(MakeRoom(parent.fd, parts.back(), name));
  if (symlinkat(target.c_str(), parent.fd, parts.back().c_str()) != 0) {
    return ArtifactDiskError(errno, "create the link " + name);
  }
  links_.push_back(name);
  return absl::OkStatus();
}

absl::Status TreeWriter::AddHardLink(const std::string& name, const std::string& target) {
  ASSIGN_OR_RETURN(const std::vector<std::string> parts, Split(name));
  ASSIGN_OR_RETURN(const std::vector<std::string> target_parts, Split(target));
  if (parts.empty() || target_parts.empty()) return Refuse(name, "has no name or no target");
  if (parts == target_parts) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int target_fd, OpenParent(target, target_parts, /*make=*/false));
  const OwnedFd target_parent{target_fd};
  ASSIGN_OR_RETURN(const int parent_fd, OpenParent(name, parts, /*make=*/true));
  const OwnedFd parent{parent_fd};
  RETURN_IF_ERROR(MakeRoom(parent.fd, parts.back(), name));
  if (linkat(target_parent.fd, target_parts.back().c_str(), parent.fd, parts.back().c_str(), 0) ==
      0) {
    return absl::OkStatus();
  }
  if (errno == ENOENT) return Refuse(name, "is a link to \"" + target + "\", which is not there");
  return ArtifactDiskError(errno, "link " + name);
}

absl::Status TreeWriter::CheckLinks() const {
  for (const std::string& name : links_) {
    std::error_code error;
    const fs::path link = fs::path(root_) / name;
    const fs::path target = fs::read_symlink(link, error);
    if (error) continue;  // A later entry replaced it.
    // Text alone is not enough: "a/b/.." is not "a" where b is a link.
    const fs::path reached = fs::weakly_canonical(link.parent_path() / target, error);
    if (error || !IsWithin(reached.string(), root_)) {
      return Refuse(name,
                    "is a link to \"" + target.string() + "\", which lies outside of the folder");
    }
  }
  return absl::OkStatus();
}

}  // namespace appsup::agent
