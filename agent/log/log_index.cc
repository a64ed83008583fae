#include "agent/log/log_index.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "common/file.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

struct Entry {
  int64_t micros;
  int64_t size;
};
constexpr int64_t kEntryBytes = 16;
constexpr mode_t kMode = 0640;

std::string Encode(const Entry& entry) {
  const uint64_t words[2] = {htole64(static_cast<uint64_t>(entry.micros)),
                             htole64(static_cast<uint64_t>(entry.size))};
  return std::string(reinterpret_cast<const char*>(words), sizeof(words));
}

// A record that a crash cut off is left out.
std::vector<Entry> Decode(const std::string& bytes) {
  std::vector<Entry> entries(bytes.size() / kEntryBytes);
  for (size_t i = 0; i < entries.size(); ++i) {
    uint64_t words[2];
    std::memcpy(words, bytes.data() + i * kEntryBytes, sizeof(words));
    entries[i] = {static_cast<int64_t>(le64toh(words[0])), static_cast<int64_t>(le64toh(words[1]))};
  }
  return entries;
}

// What remains of a full index.
std::string Thinned(const std::vector<Entry>& entries, int64_t first_data) {
  size_t begin = 0;
  // The last entry at or below first_data still bounds the time of the bytes behind it.
  while (begin + 1 < entries.size() && entries[begin + 1].size <= first_data) ++begin;
  const bool enough = entries.size() - begin <= static_cast<size_t>(LogIndex::kMaxEntries) / 2;
  std::string kept;
  for (size_t i = begin; i < entries.size(); i += enough ? 1 : 2) kept += Encode(entries[i]);
  return kept;
}

}  // namespace

absl::Status LogIndex::Append(absl::Time time, int64_t size, int64_t first_data) {
  if (size == 0) return absl::OkStatus();  // Find says 0 by itself; silent logs need no index.
  const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, kMode);
  if (fd < 0) return ErrnoError(errno, "open " + path_);
  struct stat info {};
  absl::Status status;
  int64_t entries = 0;
  if (fstat(fd, &info) != 0) {
    status = ErrnoError(errno, "stat " + path_);
  } else {
    entries = info.st_size / kEntryBytes;
    if (info.st_size % kEntryBytes != 0 && ftruncate(fd, entries * kEntryBytes) != 0) {
      status = ErrnoError(errno, "truncate " + path_);
    }
  }
  const std::string record = Encode({absl::ToUnixMicros(time), size});
  if (status.ok() && write(fd, record.data(), record.size()) != kEntryBytes) {
    status = ErrnoError(errno, "write " + path_);
  }
  close(fd);
  RETURN_IF_ERROR(status);
  if (entries + 1 < kMaxEntries) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path_));
  return AtomicWriteFile(path_, Thinned(Decode(bytes), first_data), kMode);
}

absl::StatusOr<int64_t> LogIndex::Find(absl::Time time) const {
  absl::StatusOr<std::string> bytes = ReadFile(path_);
  if (absl::IsNotFound(bytes.status())) return 0;
  RETURN_IF_ERROR(bytes.status());
  const int64_t micros = absl::ToUnixMicros(time);
  int64_t offset = 0;
  // Up to the first later entry, not a binary search: the wall clock may have been set back, and
  // then the earliest place is the one that misses nothing.
  for (const Entry& entry : Decode(*bytes)) {
    if (entry.micros > micros) break;
    offset = entry.size;
  }
  return offset;
}

}  // namespace appsup::agent
