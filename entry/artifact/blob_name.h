#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace appsup::entry {

// "blobs/{sha256}".
std::string BlobName(const std::string& sha256);

// The digest in `name`; INVALID_ARGUMENT with a violation of `field` if it has another form.
absl::StatusOr<std::string> ParseBlobName(const std::string& field, const std::string& name);

}  // namespace appsup::entry
