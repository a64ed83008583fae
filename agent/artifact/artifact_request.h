#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "appsupervisor/v1/app.pb.h"

namespace appsup::agent {

// A checked wish for an artifact, made ready by an install command or not.
struct ArtifactRequest {
  bool blob = false;
  std::string uri;     // Empty with `blob`.
  std::string sha256;  // Empty: whatever the URI gives.
  appsupervisor::v1::UnpackMode unpack = appsupervisor::v1::UNPACK_MODE_UNSPECIFIED;
  std::string file_name;             // Of a file that is not unpacked.
  std::vector<std::string> install;  // Empty: none.
  absl::Duration install_timeout;

  // For messages: the URI without user, password and query, or `blobs/<sha256>`.
  std::string Display() const;
  // Name of the tree that a file of this digest becomes: `<sha256>[-file][-<install digest>]`.
  std::string TreeName(const std::string& digest) const;
  // Requests with equal keys are one job.
  std::string JobKey() const;
};

// FAILED_PRECONDITION, reason ARTIFACT_INVALID, with the field and the value.
absl::StatusOr<ArtifactRequest> CheckArtifact(const appsupervisor::v1::Artifact& artifact,
                                              const appsupervisor::v1::Install& install);

// Whether `name` may be one of TreeName.
bool IsTreeName(const std::string& name);

}  // namespace appsup::agent
