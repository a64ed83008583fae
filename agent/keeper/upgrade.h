#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/keeper/poller.h"
#include "appsupervisor/keeper/v1/state.pb.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

namespace pb = ::appsupervisor::keeper::v1;

// Puts the program that lies at our own path in our place: same process, so that all children stay
// ours.
//
//   idle ──Begin──▶ checking ──exit 0──▶ settling ──nothing under way──▶ exec
//    ▲  (--check-state in a child)│
//    └──refused, crashed, hung────┘            └──exec failed──▶ idle
//
// Until the exec has succeeded nothing is given up, and meanwhile the keeper works on. Main thread.
class Upgrade {
 public:
  struct Host {
    std::function<pb::KeeperState()> state;  // As of now.
    std::function<bool()> settled;           // Nothing is under way that could not be carried.
  };

  // `command`: the program's path and the arguments that it was started with.
  Upgrade(Poller& poller, std::vector<std::string> command, Host host);

  // Again while one is under way: checks once more, the program may have changed.
  void Begin();
  // Whether this child was the check; `ended_well`: by itself with 0.
  bool Reaped(pid_t pid, bool ended_well);
  // Something may have settled.
  void Continue();

 private:
  absl::Status StartCheck();
  void Refused(const std::string& why);
  std::string Said();
  absl::Status Exec();

  Poller& poller_;
  const std::vector<std::string> command_;
  const Host host_;
  pid_t check_ = 0;
  UniqueFd said_;  // What the check writes to standard error.
  Poller::TimerId timeout_ = {};
  bool timed_out_ = false;
  bool again_ = false;
  bool settling_ = false;
};

}  // namespace appsup::keeper
