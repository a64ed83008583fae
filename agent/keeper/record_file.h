#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// Small records in the slots of one file, each written by one pwrite: a process that starts, ends
// and is forgotten costs three of them and no file of its own. Survives the end of the writer at
// any point (a torn record reads as none), not a power cut: it is meant for the run folder.
class RecordFile {
 public:
  static constexpr size_t kSlotBytes = 2048;
  static constexpr size_t kMaxRecord = kSlotBytes - 8;

  // Opens or makes the file and returns what it holds, by slot. FAILED_PRECONDITION for a file of
  // another form.
  absl::Status Open(const std::string& path, std::vector<std::pair<int, std::string>>* found);

  // Into `*slot`, or into a free one, whose number is then put there, if it is -1.
  // RESOURCE_EXHAUSTED if the record is too long or the disk full; then `*slot` is as it was.
  absl::Status Write(const std::string& record, int* slot);
  void Clear(int slot);
  // What was written last; empty if that cannot be read.
  std::string Read(int slot);

 private:
  std::string path_;
  UniqueFd file_;
  int next_ = 1;  // Slot 0 is the header.
  std::vector<int> free_;
};

}  // namespace appsup::keeper
