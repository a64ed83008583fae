#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// Which app has which user id. An id is never given to a second app, because files of the first may
// still lie somewhere. Kept in one file, a line `UID APP` each.
class UidTable {
 public:
  // Reads the file, or makes it. DATA_LOSS if a line (but for a torn last one) makes no sense.
  absl::Status Open(const std::string& path, uid_t first, uid_t last);

  // The app's id, a new one if need be. RESOURCE_EXHAUSTED when the range is used up. A new one may
  // only be used after Sync.
  absl::StatusOr<uid_t> Get(const std::string& app_uid);

  // Makes new entries durable, all at once; nothing to do costs nothing.
  absl::Status Sync();

 private:
  std::string path_;
  UniqueFd file_;
  uid_t next_ = 0;
  uid_t last_ = 0;
  bool dirty_ = false;
  std::map<std::string, uid_t> uids_;
};

}  // namespace appsup::keeper
