#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/keeper/door.h"
#include "agent/keeper/policy.h"
#include "agent/keeper/poller.h"
#include "agent/keeper/supervisor.h"
#include "agent/keeper/upgrade.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

struct KeeperOptions {
  bool stop_apps_on_exit = false;
  std::vector<std::string> command;  // Path and arguments of this program, for its successor.
};

// The program: hands what comes through the door and from the kernel to the supervisor, until a
// signal ends it. SIGTERM and SIGINT: apps go on without us, but for the fenced ones, or, with
// `stop_apps_on_exit`, for all, which are stopped first; a second signal then kills them. SIGHUP:
// the program that lies at our path now takes over (upgrade.h).
class Keeper {
 public:
  Keeper(Policy policy, KeeperOptions options);

  // Blocks SIGCHLD, SIGHUP, SIGTERM and SIGINT for the whole process. `from`: what an earlier
  // program of this process had.
  absl::Status Open(const pb::KeeperState* from);
  // Returns when it is told to end.
  absl::Status Run();

 private:
  absl::Status OpenSignals();
  pb::KeeperState State();
  bool Settled();
  void OnRequest(pb::Request request);
  void OnSignals();
  void OnEndSignal();

  const Policy policy_;
  const KeeperOptions options_;
  Poller poller_;
  Supervisor supervisor_;
  Door door_;
  Upgrade upgrade_;
  UniqueFd signals_;
  bool greeted_ = false;  // The connection has said hello.
  int end_signals_ = 0;
};

}  // namespace appsup::keeper
