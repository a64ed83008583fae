#pragma once

#include <map>
#include <string>

#include "absl/time/time.h"

namespace appsup::entry {

// How long something has gone on without news, on the boot clock of this start of the entry: after
// a restart the wait begins anew, and no jump of the wall clock shortens it. By name of the
// resource. Core thread only.
class Patience {
 public:
  // When the present wait began. `operation`: what is waited for; another one begins a new wait.
  absl::Duration Since(const std::string& name, const std::string& operation, absl::Duration now) {
    auto [wait, fresh] = waits_.try_emplace(name, Wait{operation, now});
    if (!fresh && wait->second.operation != operation) wait->second = {operation, now};
    return wait->second.since;
  }

  // There was progress.
  void Restart(const std::string& name, absl::Duration now) {
    auto wait = waits_.find(name);
    if (wait != waits_.end()) wait->second.since = now;
  }

  void Drop(const std::string& name) { waits_.erase(name); }

 private:
  struct Wait {
    std::string operation;
    absl::Duration since;
  };
  std::map<std::string, Wait> waits_;
};

}  // namespace appsup::entry
