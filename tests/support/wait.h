// Waiting for something that happens elsewhere: another thread, process or machine.
#pragma once

#include <functional>

#include "absl/time/time.h"

namespace appsup::testing {

// Looks at `condition` every few milliseconds until it holds. False when it did not within `limit`.
// The limit is there for a broken program, not for measuring: be generous.
bool WaitFor(const std::function<bool()>& condition, absl::Duration limit = absl::Seconds(30));

}  // namespace appsup::testing
