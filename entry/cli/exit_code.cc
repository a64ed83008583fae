#include "entry/cli/exit_code.h"

#include "common/status.h"
#include "fmt/format.h"

namespace appsup::cli {

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return ExitCode::kUsage;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kFailedPrecondition:
      return ExitCode::kConflict;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kDenied;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kTimeout;
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
    default:  // absl names one more code so that nobody lists all of them.
      return ExitCode::kFailed;
  }
}

std::string ErrorText(const absl::Status& status) {
  const std::string message(status.message());
  std::string text = fmt::format(
      "error: {}\n", message.empty() ? absl::StatusCodeToString(status.code()) : message);
  for (const FieldViolation& violation : GetFieldViolations(status)) {
    // Where the sentence is made of the violations, they are not told twice.
    if (message.find(violation.description) != std::string::npos) continue;
    text += fmt::format("  {}: {}\n", violation.field, violation.description);
  }
  if (absl::IsUnauthenticated(status)) {
    text += "  --token-file or APPSUP_TOKEN_FILE names the file with the token\n";
  }
  return text;
}

absl::Status UsageError(const std::string& message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "USAGE", message);
}

}  // namespace appsup::cli
