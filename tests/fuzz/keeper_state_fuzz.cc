// What a keeper gets from another program of its own: the state of the keeper before it, and as a
// warden, what it is to guard. The first byte says which.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <set>
#include <string>
#include <string_view>

#include "agent/keeper/fence.h"
#include "agent/keeper/state_file.h"
#include "agent/keeper/warden.h"
#include "tests/fuzz/steps.h"

namespace appsup::keeper {
namespace {

using fuzz::Expect;

// kFile: all bytes of it; kState: the message in it; kMoves: a packet to the warden.
enum Kind : uint8_t { kFile, kState, kMoves, kKinds };

// Sealed, as a keeper passes it on.
UniqueFd FileOf(const std::string& text) {
  UniqueFd fd(memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  Expect(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
             fcntl(fd.get(), F_ADD_SEALS,
                   F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0,
         "a file is written");
  return fd;
}

void CheckTaken(const pb::KeeperState& state) {
  std::set<int> fds;
  for (int fd : CarriedFds(state)) {
    Expect(fd > STDERR_FILENO && fds.insert(fd).second, "no file descriptor is closed twice");
  }
  for (const pb::ProcessState& process : state.processes()) {
    const pb::ProcessRecord& record = process.record();
    Expect(record.pid() == static_cast<pid_t>(record.pid()) && record.pid() >= 0,
           "a pid is that of one process");
    if (!record.has_fence()) continue;
    const Fence fence = FromMessage(record.fence());
    Expect(fence.set() && fence.stop_at() <= fence.deadline, "a fence ends what it holds");
  }
  CheckSamePlaces(state.policy(), {}).IgnoreError();
  Expect(CheckSamePlaces(state.policy(), state.policy()), "a policy is the same as itself");
}

void Read(const std::string& text) {
  const UniqueFd file = FileOf(text);
  const auto state = ReadState(file.get());
  if (!state.ok()) {
    Expect(absl::IsInvalidArgument(state.status()) || absl::IsFailedPrecondition(state.status()),
           state.status().ToString().c_str());
    return;
  }
  CheckTaken(*state);
  const auto written = WriteState(*state);
  Expect(written.status(), "a state can be passed on");
  const auto again = ReadState(written->get());
  Expect(again.status(), "what was passed on can be read");
  Expect(again->SerializeAsString() == state->SerializeAsString(), "and says the same");
}

void Guard(std::string_view packet) {
  FencedGroups groups;
  internal::ApplyMoves(packet, groups);
  std::vector<FenceMove> moves;
  for (const auto& [group, deadline] : groups) {
    Expect(deadline != 0, "what is guarded has a deadline");
    moves.emplace_back(group, deadline);
  }
  FencedGroups again;
  internal::ApplyMoves(internal::EncodeMoves(moves.data(), moves.data() + moves.size()), again);
  Expect(again == groups, "a new warden guards what the one before did");
}

}  // namespace
}  // namespace appsup::keeper

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace appsup::keeper;
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % kKinds == kFile) Read(text);
  if (data[0] % kKinds == kState) Read("appsup-keeper state\n" + text);
  if (data[0] % kKinds == kMoves) Guard(text);
  return 0;
}
