#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "entry/core/app_view.h"
#include "entry/core/rollout.h"

// Whether what an app is on its way to has failed. Pure.
namespace appsup::entry {

struct RolloutFailure {
  std::string reason;     // UPPER_SNAKE, for ErrorInfo.
  std::string message;    // A sentence.
  bool take_back = true;  // Reason enough to return to the last good revision.
};

// Somebody waits for the app: an open operation, or a revision that has not been ready yet and
// could still be taken back.
bool IsAwaited(const Catalog& catalog, const AppView& view);

// It failed: the target cannot start, keeps crashing, its setup failed, or there was no progress
// for too long (`late`). `status` is the app's newest.
std::optional<RolloutFailure> FindFailure(const AppView& view, const api::AppStatus& status,
                                          bool late);

// How long there may be no progress before that counts as failure.
absl::Duration PatienceOf(const AppView& view);

// An attempt at setup runs where it can be seen: it has its own time limit.
bool SetupRuns(const AppView& view);

// The update is to be taken back if it fails.
bool CanRollBack(const Catalog& catalog, const AppView& view);

}  // namespace appsup::entry
