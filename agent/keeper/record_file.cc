#include "agent/keeper/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/small_file.h"
#include "common/step_switch.h"

namespace appsup::keeper {
namespace {

constexpr char kHeader[] = "appsup-keeper records, version 1\n";
constexpr size_t kMaxBytes = size_t{256} << 20;

struct SlotHead {
  uint32_t length;  // 0: free.
  uint32_t checksum;
};

uint32_t Checksum(const char* data, size_t size) {
  uint32_t hash = 2166136261U;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<unsigned char>(data[i])) * 16777619U;
  return hash;
}

off_t OffsetOf(int slot) { return static_cast<off_t>(slot) * off_t{RecordFile::kSlotBytes}; }

}  // namespace

absl::Status RecordFile::Open(const std::string& path,
                              std::vector<std::pair<int, std::string>>* found) {
  path_ = path;
  file_ = UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file_.valid()) return SystemError(errno, absl::StrCat("open ", path));
  auto text = ReadSmallFile(path, kMaxBytes);
  if (!text.ok()) return text.status();
  if (text->empty()) {
    if (pwrite(file_.get(), kHeader, sizeof(kHeader), 0) == sizeof(kHeader)) {
      return absl::OkStatus();
    }
    return SystemError(errno, absl::StrCat("write ", path));
  }
  if (text->compare(0, sizeof(kHeader), kHeader, sizeof(kHeader)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " was not written by this version of the keeper"));
  }
  for (; static_cast<size_t>(OffsetOf(next_)) + sizeof(SlotHead) <= text->size(); ++next_) {
    const char* slot = text->data() + OffsetOf(next_);
    size_t room = text->size() - static_cast<size_t>(OffsetOf(next_)) - sizeof(SlotHead);
    SlotHead head;
    memcpy(&head, slot, sizeof(head));
    const char* body = slot + sizeof(head);
    if (head.length > 0 && head.length <= kMaxRecord && head.length <= room &&
        Checksum(body, head.length) == head.checksum) {
      found->emplace_back(next_, std::string(body, head.length));
    } else {
      free_.push_back(next_);
    }
  }
  return absl::OkStatus();
}

absl::Status RecordFile::Write(const std::string& record, int* slot) {
  if (record.size() > kMaxRecord) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a record of ", record.size(), " bytes; at most ", kMaxRecord, " fit"));
  }
  int target = *slot;
  if (target < 0) target = free_.empty() ? next_ : free_.back();
  SlotHead head = {static_cast<uint32_t>(record.size()), Checksum(record.data(), record.size())};
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
  bytes += record;
  APPSUP_STEP("writing-record");
  ssize_t n = pwrite(file_.get(), bytes.data(), bytes.size(), OffsetOf(target));
  APPSUP_STEP("record-written");
  if (n != static_cast<ssize_t>(bytes.size())) {
    return SystemError(n < 0 ? errno : ENOSPC, absl::StrCat("write ", path_));
  }
  if (*slot < 0) {
    if (free_.empty()) {
      ++next_;
    } else {
      free_.pop_back();
    }
  }
  *slot = target;
  return absl::OkStatus();
}

std::string RecordFile::Read(int slot) {
  char bytes[kSlotBytes];
  SlotHead head;
  ssize_t n = slot < 0 ? -1 : pread(file_.get(), bytes, sizeof(bytes), OffsetOf(slot));
  if (n < static_cast<ssize_t>(sizeof(head))) return "";
  memcpy(&head, bytes, sizeof(head));
  if (head.length > static_cast<size_t>(n) - sizeof(head)) return "";
  const char* body = bytes + sizeof(head);
  return Checksum(body, head.length) == head.checksum ? std::string(body, head.length) : "";
}

void RecordFile::Clear(int slot) {
  if (slot < 0) return;
  SlotHead none = {0, 0};
  // A record that cannot be cleared names a process that has ended: the next keeper finds that out.
  [[maybe_unused]] ssize_t ignored = pwrite(file_.get(), &none, sizeof(none), OffsetOf(slot));
  APPSUP_STEP("record-cleared");
  free_.push_back(slot);
}

}  // namespace appsup::keeper
