#include "agent/artifact/artifact_error.h"

#include <cerrno>

#include <catch2/catch.hpp>

#include "common/status.h"

namespace appsup::agent {
namespace {

using absl::StatusCode;

TEST_CASE("artifact error: what only another source or spec can mend lasts") {
  CHECK(IsLasting(InvalidArtifact("unpack a.tgz: it is no archive")));
  CHECK(IsLasting(ArtifactTooLarge("fetch a.tgz: it has more than 8 GiB")));
  CHECK(IsLasting(MakeError(StatusCode::kNotFound, kArtifactNotFound, "HTTP status 404")));
  CHECK(IsLasting(
      MakeError(StatusCode::kFailedPrecondition, kArtifactDigestMismatch, "sha256 differs")));
  CHECK(IsLasting(
      MakeError(StatusCode::kFailedPrecondition, kArtifactUnreachable, "HTTP status 403")));
}

TEST_CASE("artifact error: what may pass by itself does not last") {
  CHECK_FALSE(IsLasting(absl::OkStatus()));
  CHECK_FALSE(IsLasting(absl::CancelledError("nobody waits for it any more")));
  CHECK_FALSE(
      IsLasting(MakeError(StatusCode::kUnavailable, kArtifactUnreachable, "HTTP status 503")));
  CHECK_FALSE(
      IsLasting(MakeError(StatusCode::kUnavailable, kArtifactDigestMismatch, "it changed")));
  CHECK_FALSE(
      IsLasting(MakeError(StatusCode::kUnauthenticated, kArtifactUnreachable, "old certificate")));
  CHECK_FALSE(IsLasting(ArtifactDiskError(ENOSPC, "write /cache/a")));
  CHECK_FALSE(IsLasting(ArtifactDiskError(ENOENT, "open /cache/a")));
  CHECK_FALSE(IsLasting(
      MakeError(StatusCode::kFailedPrecondition, kInstallFailed, "install: exited with code 4")));
}

}  // namespace
}  // namespace appsup::agent
