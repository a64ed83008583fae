#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "agent/keeper/cgroup.h"
#include "agent/keeper/poller.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// Fenced trees by control group, with the deadlines of their fences (CLOCK_BOOTTIME nanoseconds).
using FencedGroups = std::map<std::string, int64_t>;
// A fence that was set or moved, or with 0, one that is gone.
using FenceMove = std::pair<std::string, int64_t>;

// The second pair of eyes on fenced trees: a process of its own that kills them when the keeper
// ends, however that comes, and at their deadlines, should the keeper be held up. It touches
// nothing but control groups. Forked with the first fence; one that dies is made again and knows
// all that the one before knew. Main thread only.
class Warden {
 public:
  // `groups` is for the warden's own process.
  Warden(Poller& poller, Cgroups& groups) : poller_(poller), groups_(groups) {}

  // Before the tree runs an app's code. An error: nobody guards the trees for now, and what is new
  // among them must not start.
  absl::Status Move(const std::vector<FenceMove>& moves);
  // The tree has ended, or has no fence any more.
  void Forget(const std::string& group);

  // Whether it was the warden that ended; then there is a new one.
  bool Reaped(pid_t pid);
  // One that an earlier program of this process made, and what it guards: until the next one does.
  void TakeOver(pid_t pid, UniqueFd socket, FencedGroups held);

  pid_t pid() const { return pid_; }
  int socket() const { return socket_.get(); }

 private:
  absl::Status Send(const std::vector<FenceMove>& moves);
  absl::Status Start();
  void Retry();

  Poller& poller_;
  Cgroups& groups_;
  FencedGroups held_;
  pid_t pid_ = 0;
  UniqueFd socket_;   // Its end is how the warden learns of the keeper's.
  bool fit_ = false;  // It understands us and has been told all.
  int64_t started_ = 0;
  Poller::TimerId retry_ = {};
};

namespace internal {
// Packets to the warden: any number of moves.
std::string EncodeMoves(const FenceMove* begin, const FenceMove* end);
void ApplyMoves(std::string_view packet, FencedGroups& groups);
}  // namespace internal

}  // namespace appsup::keeper
