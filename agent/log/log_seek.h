#pragma once

#include <compare>
#include <cstdint>

#include "absl/status/statusor.h"
#include "agent/log/log_folder.h"
#include "appsupervisor/v1/link.pb.h"

namespace appsup::agent {

// A place in the logs of one stream of one instance.
struct LogPosition {
  int64_t attempt = 0;
  int64_t offset = 0;
  auto operator<=>(const LogPosition&) const = default;
};

// OK, or INVALID_ARGUMENT with the field and the value.
absl::Status CheckReadLog(const appsupervisor::v1::ReadLog& request);

// Where a checked request begins to read. `lines` and `since` together mean the later of the two
// places. An attempt that was deleted counts as the oldest one kept. NOT_FOUND if there is no log,
// or only of older attempts.
absl::StatusOr<LogPosition> FindStart(const LogFolder& folder,
                                      const appsupervisor::v1::ReadLog& request);

}  // namespace appsup::agent
