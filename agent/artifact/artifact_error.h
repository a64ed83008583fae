#pragma once

#include <string>

#include "absl/status/status.h"

namespace appsup::agent {

// Reasons of ErrorInfo; artifact_cache.h says which codes go with them.
inline constexpr char kArtifactInvalid[] = "ARTIFACT_INVALID";
inline constexpr char kArtifactUnreachable[] = "ARTIFACT_UNREACHABLE";
inline constexpr char kArtifactNotFound[] = "ARTIFACT_NOT_FOUND";
inline constexpr char kArtifactDigestMismatch[] = "ARTIFACT_DIGEST_MISMATCH";
inline constexpr char kArtifactTooLarge[] = "ARTIFACT_TOO_LARGE";
inline constexpr char kArtifactDisk[] = "ARTIFACT_DISK";
inline constexpr char kInstallFailed[] = "INSTALL_FAILED";

// Whether the next try would end the same, as long as neither the spec nor the source changes. Not
// of this node's disk, and not of an install command, which may have met with a passing trouble.
bool IsLasting(const absl::Status& status);

// ARTIFACT_INVALID, FAILED_PRECONDITION: it would be the same at each try.
absl::Status InvalidArtifact(const std::string& message);
// ARTIFACT_TOO_LARGE, FAILED_PRECONDITION.
absl::Status ArtifactTooLarge(const std::string& message);
// ARTIFACT_DISK with the code of ErrnoError (a full disk is RESOURCE_EXHAUSTED).
absl::Status ArtifactDiskError(int error_number, const std::string& what);

}  // namespace appsup::agent
