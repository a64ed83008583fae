#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace appsup::agent {

// Builds a folder from the entries of an archive that nobody vouches for. Never writes outside of
// its root, whatever the names and links say: folders are opened one by one, without following
// links. One thread.
class TreeWriter {
 public:
  // `root` exists.
  static absl::StatusOr<TreeWriter> Open(const std::string& root);
  ~TreeWriter();
  TreeWriter(TreeWriter&& other) noexcept;
  TreeWriter& operator=(TreeWriter&&) = delete;

  // FAILED_PRECONDITION, reason ARTIFACT_INVALID, for a name that is absolute, contains "..", or
  // leads through a link; ARTIFACT_DISK for the disk. Folders above are made. Something that is
  // there is replaced, unless one of the two is a folder.
  absl::Status AddFolder(const std::string& name);
  // The caller closes it.
  absl::StatusOr<int> AddFile(const std::string& name, bool executable);
  absl::Status AddSymlink(const std::string& name, const std::string& target);
  // `target`: a name of a file that was added before.
  absl::Status AddHardLink(const std::string& name, const std::string& target);

  // After the last entry: each link must lead to a place within the root.
  absl::Status CheckLinks() const;

 private:
  TreeWriter(std::string root, int fd) : root_(std::move(root)), fd_(fd) {}
  // Opens the folder that holds `parts.back()`; the caller closes it.
  absl::StatusOr<int> OpenParent(const std::string& name, const std::vector<std::string>& parts,
                                 bool make) const;
  // Removes what has the name of a new entry.
  absl::Status MakeRoom(int parent, const std::string& leaf, const std::string& name) const;

  std::string root_;
  int fd_;
  std::vector<std::string> links_;  // Names of symbolic links.
};

}  // namespace appsup::agent
