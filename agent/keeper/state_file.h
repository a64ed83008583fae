#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "appsupervisor/keeper/v1/state.pb.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

namespace pb = ::appsupervisor::keeper::v1;

// How a keeper's state travels to the program that takes its place: a sealed memfd.

// What this program writes, and the highest that it reads.
inline constexpr int kStateVersion = 1;

absl::StatusOr<UniqueFd> WriteState(const pb::KeeperState& state);

// The same again, checked: INVALID_ARGUMENT for what no keeper has written, FAILED_PRECONDITION for
// a version that this program does not know.
absl::StatusOr<pb::KeeperState> ReadState(int fd);

// Whether the next keeper may obey `now` in place of what the state names: FAILED_PRECONDITION
// names what only a restart changes.
absl::Status CheckSamePlaces(const pb::PolicyRecord& before, const pb::PolicyRecord& now);

// The file descriptors that the state names.
std::vector<int> CarriedFds(const pb::KeeperState& state);
// Whether they survive an exec.
void SetCarried(const std::vector<int>& fds, bool carried);

}  // namespace appsup::keeper
