#include "agent/artifact/tree_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "agent/artifact/artifact_error.h"
#include "agent/artifact/artifact_request.h"
#include "common/file.h"
#include "common/log.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kReadySuffix[] = ".ready";
constexpr mode_t kReadable = 0755;

std::string ReadyPath(const std::string& path) { return path + kReadySuffix; }

std::string MarkerText(const TreeStore::Tree& tree) {
  return "bytes=" + std::to_string(tree.bytes) + "\nfile=" + tree.file + "\n";
}

std::optional<TreeStore::Tree> ReadMarker(const std::string& path) {
  const auto text = ReadFile(path);
  struct stat info {};
  if (!text.ok() || stat(path.c_str(), &info) != 0) return std::nullopt;
  const size_t line_end = text->find('\n');
  constexpr std::string_view kBytes = "bytes=";
  constexpr std::string_view kFile = "file=";
  if (line_end == std::string::npos || text->rfind(kBytes, 0) != 0 ||
      text->compare(line_end + 1, kFile.size(), kFile) != 0) {
    return std::nullopt;
  }
  TreeStore::Tree tree;
  std::from_chars(text->data() + kBytes.size(), text->data() + line_end, tree.bytes);
  tree.file = text->substr(line_end + 1 + kFile.size());
  if (!tree.file.empty()) tree.file.pop_back();
  tree.last_used = absl::TimeFromTimespec(info.st_mtim);
  return tree;
}

}  // namespace

absl::StatusOr<TreeStore> TreeStore::Open(const std::string& cache_dir) {
  RETURN_IF_ERROR(EnsureDir(cache_dir, kReadable));
  TreeStore store(cache_dir);
  RETURN_IF_ERROR(Remove(cache_dir + "/tmp"));
  RETURN_IF_ERROR(EnsureDir(cache_dir + "/tmp", 0700));
  RETURN_IF_ERROR(store.Scan());
  return store;
}

absl::Status TreeStore::Scan() {
  std::set<std::string> folders;
  std::set<std::string> markers;
  std::error_code error;
  for (fs::directory_iterator at(dir_, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    const bool marker = at->path().extension() == kReadySuffix;
    if (marker) name.resize(name.size() - (sizeof(kReadySuffix) - 1));
    if (IsTreeName(name)) (marker ? markers : folders).insert(name);
  }
  if (error) return ArtifactDiskError(error.value(), "list " + dir_);
  for (const std::string& name : markers) {
    auto tree = folders.count(name) > 0 ? ReadMarker(ReadyPath(Path(name))) : std::nullopt;
    if (tree) {
      Add(name, std::move(*tree));
    } else {
      RETURN_IF_ERROR(Remove(ReadyPath(Path(name))));
    }
  }
  for (const std::string& name : folders) {
    if (Find(name) == nullptr) RETURN_IF_ERROR(Remove(Path(name)));
  }
  return absl::OkStatus();
}

const TreeStore::Tree* TreeStore::Find(const std::string& name) const {
  const auto found = trees_.find(name);
  return found == trees_.end() ? nullptr : &found->second;
}

void TreeStore::Add(const std::string& name, Tree tree) {
  Tree& slot = trees_[name];
  bytes_ += tree.bytes - slot.bytes;
  slot = std::move(tree);
}

absl::Status TreeStore::Use(const std::string& name, const std::string& file_name, absl::Time now) {
  Tree& tree = trees_.at(name);
  tree.last_used = now;
  const timespec time = absl::ToTimespec(now);
  const timespec times[2] = {time, time};
  if (utimensat(AT_FDCWD, ReadyPath(Path(name)).c_str(), times, 0) != 0) {
    return ArtifactDiskError(errno, "touch " + ReadyPath(Path(name)));
  }
  if (tree.file.empty() || tree.file == file_name) return absl::OkStatus();
  const std::string path = Path(name) + "/" + file_name;
  if (link((Path(name) + "/" + tree.file).c_str(), path.c_str()) != 0 && errno != EEXIST) {
    return ArtifactDiskError(errno, "create " + path);
  }
  return absl::OkStatus();
}

std::vector<std::string> TreeStore::Evict(const std::set<std::string>& keep, int64_t max_bytes) {
  std::vector<std::pair<absl::Time, std::string>> unused;
  for (const auto& [name, tree] : trees_) {
    if (keep.count(name) == 0) unused.emplace_back(tree.last_used, name);
  }
  std::sort(unused.begin(), unused.end());
  std::vector<std::string> evicted;
  for (const auto& [last_used, name] : unused) {
    if (bytes_ <= max_bytes) break;
    const std::string away = TempPath("away-" + std::to_string(moved_away_++));
    // First the marker: a tree without one is removed after a crash, the other way round it stays.
    if (unlink(ReadyPath(Path(name)).c_str()) != 0 ||
        rename(Path(name).c_str(), away.c_str()) != 0) {
      Log(LogLevel::kWarning, "artifact-evict-failed",
          {{"error", ErrnoError(errno, "remove " + Path(name))}});
    } else {
      evicted.push_back(away);
    }
    bytes_ -= trees_.at(name).bytes;
    trees_.erase(name);
  }
  return evicted;
}

std::string TreeStore::Discard(const std::string& name) {
  const std::string away = TempPath("away-" + std::to_string(moved_away_++));
  // It need not be there; what cannot be moved is replaced by the next job, or the next start.
  return rename(Path(name).c_str(), away.c_str()) == 0 ? away : "";
}

absl::Status TreeStore::Place(const std::string& temp, const std::string& path) {
  RETURN_IF_ERROR(Remove(path));
  if (rename(temp.c_str(), path.c_str()) != 0) {
    return ArtifactDiskError(errno, "rename " + temp + " to " + path);
  }
  return absl::OkStatus();
}

absl::Status TreeStore::Seal(const std::string& path, const Tree& tree) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ArtifactDiskError(errno, "open " + path);
  // One call for all of a tree's files: a sync of each would take minutes for some.
  const int failed = syncfs(fd) != 0 ? errno : 0;
  close(fd);
  if (failed != 0) return ArtifactDiskError(failed, "sync " + path);
  const absl::Status written = AtomicWriteFile(ReadyPath(path), MarkerText(tree), 0644);
  if (written.ok()) return written;
  return MakeError(written.code(), kArtifactDisk, std::string(written.message()));
}

int64_t TreeStore::Measure(const std::string& path) {
  int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code vanished;
    if (!at->is_regular_file(vanished) || at->is_symlink(vanished)) continue;
    const uintmax_t size = at->file_size(vanished);
    if (!vanished) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

absl::Status TreeStore::Remove(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return ArtifactDiskError(error.value(), "remove " + path);
  return absl::OkStatus();
}

}  // namespace appsup::agent
