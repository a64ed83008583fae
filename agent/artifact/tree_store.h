#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace appsup::agent {

// The trees of the cache on disk and, of those that are ready, in memory:
//
//   <cache_dir>/<name>/         a tree (artifact_request.h says how it is called)
//   <cache_dir>/<name>.ready    it is complete; its time of change is the time of last use
//   <cache_dir>/tmp/            what is being made or thrown away
//
// Loop thread only, but for the static functions.
class TreeStore {
 public:
  struct Tree {
    int64_t bytes = 0;
    std::string file;  // Name of the file that was not unpacked; empty for an unpacked archive.
    absl::Time last_used;
  };

  // Makes the folders and removes what a crash left behind.
  static absl::StatusOr<TreeStore> Open(const std::string& cache_dir);

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  // A name below tmp/ for a thing called `id`.
  std::string TempPath(const std::string& id) const { return dir_ + "/tmp/" + id; }

  const Tree* Find(const std::string& name) const;
  void Add(const std::string& name, Tree tree);

  // Notes that the tree is used, and lets its one file be found by `file_name` too.
  absl::Status Use(const std::string& name, const std::string& file_name, absl::Time now);

  // Takes ready trees that are not in `keep` (names) out, longest unused first, until at most
  // `max_bytes` are left. They lie below tmp/ under the paths returned, to be removed by the
  // caller.
  std::vector<std::string> Evict(const std::set<std::string>& keep, int64_t max_bytes);

  // Takes what is left of a tree that did not become ready out of the way. The path, if there was
  // something, is to be removed by the caller.
  std::string Discard(const std::string& name);

  int64_t bytes() const { return bytes_; }

  // --- Any thread; block on the disk ---

  // Gives the finished folder `temp` the name `path`. A tree there that never became ready goes.
  static absl::Status Place(const std::string& temp, const std::string& path);
  // Syncs the file system, so that the tree outlives a power cut, then writes the `.ready`.
  static absl::Status Seal(const std::string& path, const Tree& tree);
  // Sum of the sizes of the files below `path`.
  static int64_t Measure(const std::string& path);
  static absl::Status Remove(const std::string& path);

 private:
  explicit TreeStore(std::string dir) : dir_(std::move(dir)) {}
  absl::Status Scan();

  std::string dir_;
  std::map<std::string, Tree> trees_;
  int64_t bytes_ = 0;
  uint64_t moved_away_ = 0;  // Makes names below tmp/ unique.
};

}  // namespace appsup::agent
