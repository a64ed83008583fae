#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "entry/cli/artifact_pack.h"
#include "entry/cli/session.h"

namespace appsup::cli {

// Sends the bytes to the entry, unless it has them already.
absl::StatusOr<v1::Blob> PushBlob(Session& session, const PackedArtifact& artifact);

}  // namespace appsup::cli
