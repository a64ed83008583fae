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

// ARTIFACT_INVALID, FAILED_PRECONDITION: it would be the same at each try.
absl::Status InvalidArtifact(const std::string& message);
// ARTIFACT_TOO_LARGE, FAILED_PRECONDITION.
absl::Status ArtifactTooLarge(const std::string& message);
// ARTIFACT_DISK with the code of ErrnoError (a full disk is RESOURCE_EXHAUSTED).
absl::Status ArtifactDiskError(int error_number, const std::string& what);

}  // namespace appsup::agent
