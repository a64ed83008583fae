#pragma once

#include <string>
#include <vector>

#include "entry/cli/exit_code.h"
#include "entry/cli/session.h"

namespace appsup::cli {

// What every command does with the operations that it started: with --no-wait names them, else
// waits for all of them and tells how each ended, an error with the app's last failure and log
// lines. kFailed if one failed, kTimeout if --timeout was over first. Goes on waiting across a
// restart of the entry.
Outcome FinishOperations(Session& session, const std::vector<v1::Operation>& operations);

inline Outcome FinishOperation(Session& session, const v1::Operation& operation) {
  return FinishOperations(session, {operation});
}

// Waits for one. The newest state that was seen; DEADLINE_EXCEEDED if it did not end by `deadline`.
absl::StatusOr<v1::Operation> WaitForEnd(Session& session, const v1::Operation& operation,
                                         absl::Time deadline);

// "notes: 1 of 2 ready, waiting for …".
std::string ProgressText(const Session& session, const v1::Operation& operation);

}  // namespace appsup::cli
