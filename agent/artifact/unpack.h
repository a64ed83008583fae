#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "appsupervisor/v1/app.pb.h"

namespace appsup::agent {

struct UnpackLimits {
  int64_t max_bytes = 0;    // Of all files together.
  int64_t max_entries = 0;  // Files, folders and links.
};

struct Unpacked {
  int64_t bytes = 0;
  bool single_file = false;  // It was no archive and lies in the folder as it is.
};

// Fills the folder `into`, which exists and is empty, from the artifact `file`: unpacks tar (plain,
// gzip, xz, bzip2, zstd) and zip, or places the file itself, as `mode` says; a file that is ELF or
// begins with #! counts as no archive. Blocks; any thread. What it leaves after an error is to be
// thrown away. Errors: ARTIFACT_INVALID, ARTIFACT_TOO_LARGE with the bound, ARTIFACT_DISK;
// CANCELLED. `display` names the artifact in them.
absl::StatusOr<Unpacked> Unpack(const std::string& file, const std::string& file_name,
                                const std::string& display, appsupervisor::v1::UnpackMode mode,
                                const std::string& into, const UnpackLimits& limits,
                                const std::atomic<bool>& cancelled);

}  // namespace appsup::agent
