#include "entry/cli/exit_code.h"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "common/status.h"

namespace appsup::cli {
namespace {

TEST_CASE("exit code: each status has the number that scripts rely on") {
  const std::vector<std::pair<absl::StatusCode, int>> table = {
      {absl::StatusCode::kOk, 0},
      {absl::StatusCode::kInvalidArgument, 2},
      {absl::StatusCode::kOutOfRange, 2},
      {absl::StatusCode::kNotFound, 3},
      {absl::StatusCode::kAlreadyExists, 4},
      {absl::StatusCode::kAborted, 4},
      {absl::StatusCode::kFailedPrecondition, 4},
      {absl::StatusCode::kPermissionDenied, 5},
      {absl::StatusCode::kUnauthenticated, 5},
      {absl::StatusCode::kUnavailable, 6},
      {absl::StatusCode::kDeadlineExceeded, 7},
      {absl::StatusCode::kCancelled, 1},
      {absl::StatusCode::kUnknown, 1},
      {absl::StatusCode::kResourceExhausted, 1},
      {absl::StatusCode::kUnimplemented, 1},
      {absl::StatusCode::kInternal, 1},
      {absl::StatusCode::kDataLoss, 1},
  };
  for (const auto& [code, number] : table) {
    INFO(absl::StatusCodeToString(code));
    CHECK(static_cast<int>(ExitCodeOf(absl::Status(code, "x"))) == number);
  }
}

TEST_CASE("exit code: an error is a sentence and a line for each violation") {
  const absl::Status status =
      MakeError(absl::StatusCode::kInvalidArgument, "INVALID", "two fields are wrong", {},
                {{"app.spec.replicas", "must be 0 or more"}, {"app.spec.env", "too many"}});
  CHECK(ErrorText(status) ==
        "error: two fields are wrong\n  app.spec.replicas: must be 0 or more\n"
        "  app.spec.env: too many\n");
}

TEST_CASE("exit code: an error without a sentence names its code") {
  CHECK(ErrorText(absl::NotFoundError("")) == "error: NOT_FOUND\n");
}

}  // namespace
}  // namespace appsup::cli
