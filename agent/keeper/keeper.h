#pragma once

#include "absl/status/status.h"
#include "agent/keeper/door.h"
#include "agent/keeper/policy.h"
#include "agent/keeper/poller.h"
#include "agent/keeper/supervisor.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// The program: hands what comes through the door and from the kernel to the supervisor, until a
// signal ends it. SIGTERM and SIGINT: apps go on without us, but for the fenced ones, or, with
// `stop_apps_on_exit`, for all, which are stopped first; a second signal then kills them.
class Keeper {
 public:
  Keeper(Policy policy, bool stop_apps_on_exit);

  // Blocks SIGCHLD, SIGTERM and SIGINT for the whole process.
  absl::Status Open();
  // Returns when it is told to end.
  absl::Status Run();

 private:
  void OnRequest(pb::Request request);
  void OnSignals();
  void OnEndSignal();

  const Policy policy_;
  const bool stop_apps_on_exit_;
  Poller poller_;
  Supervisor supervisor_;
  Door door_;
  UniqueFd signals_;
  bool greeted_ = false;  // The connection has said hello.
  int end_signals_ = 0;
};

}  // namespace appsup::keeper
