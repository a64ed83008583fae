#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace appsup::agent {

// What a check belongs to: one start of one instance.
struct ProbeKey {
  std::string uid;  // Of the instance.
  int64_t attempt = 0;
  auto operator<=>(const ProbeKey&) const = default;
};

struct ExecResult {
  absl::Status status = {};  // Not OK: the command could not be run; the fields below mean nothing.
  int exit_code = 0;
  int signal = 0;              // That ended it; 0 if none.
  bool timed_out = false;      // It was killed because `timeout` had passed.
  std::string last_line = {};  // Last thing it wrote, at most 400 characters; may be empty.
};

// Runs a check's command as the app: its user, folder and environment. Implemented by a driver.
// Loop thread only.
class ExecRunner {
 public:
  using Done = absl::AnyInvocable<void(ExecResult)>;

  virtual ~ExecRunner() = default;

  // Calls `done` once, on the loop thread, at the latest shortly after `timeout`, when it has
  // killed the command with all its children. Never two at once for one key.
  virtual void RunCheck(const ProbeKey& key, const std::vector<std::string>& command,
                        absl::Duration timeout, Done done) = 0;

  // Kills the command that runs for `key`, if any; its `done` is dropped.
  virtual void CancelCheck(const ProbeKey& key) = 0;
};

}  // namespace appsup::agent
