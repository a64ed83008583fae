#include "agent/artifact/artifact_error.h"

#include "common/status.h"

namespace appsup::agent {

bool IsLasting(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  if (absl::IsNotFound(status)) return reason == kArtifactNotFound;
  return absl::IsFailedPrecondition(status) &&
         (reason == kArtifactInvalid || reason == kArtifactUnreachable ||
          reason == kArtifactDigestMismatch || reason == kArtifactTooLarge);
}

absl::Status InvalidArtifact(const std::string& message) {
  return MakeError(absl::StatusCode::kFailedPrecondition, kArtifactInvalid, message);
}

absl::Status ArtifactTooLarge(const std::string& message) {
  return MakeError(absl::StatusCode::kFailedPrecondition, kArtifactTooLarge, message);
}

absl::Status ArtifactDiskError(int error_number, const std::string& what) {
  const absl::Status error = ErrnoError(error_number, what);
  return MakeError(error.code(), kArtifactDisk, std::string(error.message()));
}

}  // namespace appsup::agent
