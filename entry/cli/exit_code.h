#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace appsup::cli {

// What `appsup` ends with. Scripts rely on the numbers; docs/cli.md has the table.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,       // The work was accepted, and failed; or an error that none of these names.
  kUsage = 2,        // The command line, a manifest or a value is wrong.
  kNotFound = 3,     // What is named does not exist.
  kConflict = 4,     // It exists already, changed meanwhile, or is in a state that forbids this.
  kDenied = 5,       // No token, an unknown one, or one that may not do this.
  kUnavailable = 6,  // The entry does not answer.
  kTimeout = 7,      // --timeout ended the wait. The work goes on.
};

ExitCode ExitCodeOf(const absl::Status& status);

// What a command ends with: an error is printed by the caller, an ExitCode has been explained.
using Outcome = absl::StatusOr<ExitCode>;

// "error: no app notes" and a line for each field violation; ends in a newline.
std::string ErrorText(const absl::Status& status);

// An INVALID_ARGUMENT of the command line.
absl::Status UsageError(const std::string& message);

}  // namespace appsup::cli
