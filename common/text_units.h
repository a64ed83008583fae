#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace appsup {

// Quantities as people write them in config files and manifests. Each parser answers
// INVALID_ARGUMENT with the text that was given and the forms that are allowed; no parser takes
// negative or infinite amounts.

// "1h30m", "250ms", "1.5s", "7d"; units d h m s ms us ns; "0" needs none. The way
// back is absl::FormatDuration.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);

// "4096", "512Mi", "50MiB", "1G", "1.5GiB": K M G T P are powers of 1000 (with or without B),
// Ki Mi Gi Ti Pi powers of 1024. Must come out as whole bytes.
absl::StatusOr<int64_t> ParseBytes(std::string_view text);
// In the largest binary unit without a remainder: "50MiB", "1500B".
std::string FormatBytes(int64_t bytes);

// CPU share in thousandths of a core: "500m" -> 500, "2" -> 2000, "0.5" -> 500.
absl::StatusOr<int64_t> ParseCpu(std::string_view text);
// 500 -> "500m", 2000 -> "2".
std::string FormatCpu(int64_t millis);

}  // namespace appsup
