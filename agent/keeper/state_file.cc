#include "agent/keeper/state_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/fence.h"
#include "agent/keeper/policy.h"
#include "common/build_info.h"

namespace appsup::keeper {
namespace {

constexpr std::string_view kMagic = "appsup-keeper state\n";
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
constexpr size_t kMaxBytes = size_t{64} << 20;

absl::Status NoState(const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("this is not the state of a keeper: ", why));
}

absl::StatusOr<std::string> ReadSealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return NoState(absl::StrCat("file descriptor ", fd, " is no memfd"));
  if ((seals & kSeals) != kSeals) return NoState("it is not sealed");
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError(errno, "look at the state");
  if (static_cast<size_t>(info.st_size) > kMaxBytes) {
    return NoState(absl::StrCat("it has ", info.st_size, " bytes; at most ", kMaxBytes));
  }
  std::string text(static_cast<size_t>(info.st_size), '\0');
  for (size_t done = 0; done < text.size();) {
    ssize_t n = pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return SystemError(n < 0 ? errno : EIO, "read the state");
    done += static_cast<size_t>(n);
  }
  return text;
}

absl::Status CheckProcess(const pb::ProcessState& process) {
  const pb::ProcessRecord& record = process.record();
  if (absl::Status s = CheckProcessId(record.id()); !s.ok()) return s;
  std::string key = ProcessKey(record.id());
  if (process.phase() < pb::PROCESS_PHASE_STARTING || process.phase() > pb::PROCESS_PHASE_EXITED) {
    return absl::InvalidArgumentError(absl::StrCat(key, " is in no phase"));
  }
  bool live = process.phase() < pb::PROCESS_PHASE_DRAINING;
  if (live && (record.pid() <= 0 || process.pidfd() <= 0)) {
    return absl::InvalidArgumentError(absl::StrCat(key, " runs and has no pid"));
  }
  // Numbers that the kernel would take for a group, or for everyone.
  if (record.pid() < 0 || record.pid() > std::numeric_limits<pid_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(key, " has the pid ", record.pid()));
  }
  if (absl::Status s = record.has_fence() ? CheckFence(record.fence()) : absl::OkStatus();
      !s.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(key, " has ", std::string(s.message())));
  }
  if (!live && !record.exited().has_id()) {
    return absl::InvalidArgumentError(absl::StrCat(key, " has ended without an exit"));
  }
  if (process.phase() == pb::PROCESS_PHASE_STARTING && process.gate() <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(key, " starts and has no gate"));
  }
  return absl::OkStatus();
}

// Each is closed once, by its owner, and none is a standard stream.
absl::Status CheckFds(const pb::KeeperState& state) {
  std::set<int> seen;
  for (int fd : CarriedFds(state)) {
    if (fd <= STDERR_FILENO) return NoState(absl::StrCat("it names file descriptor ", fd));
    if (!seen.insert(fd).second) {
      return NoState(absl::StrCat("it names file descriptor ", fd, " twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> WriteState(const pb::KeeperState& state) {
  UniqueFd fd(memfd_create("appsup-keeper-state", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return SystemError(errno, "make a memfd for the state");
  std::string text =
      absl::StrCat(absl::string_view(kMagic.data(), kMagic.size()), state.SerializeAsString());
  for (size_t done = 0; done < text.size();) {
    ssize_t n = write(fd.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, "write the state");
    done += static_cast<size_t>(n);
  }
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return SystemError(errno, "seal the state");
  return fd;
}

absl::StatusOr<pb::KeeperState> ReadState(int fd) {
  auto text = ReadSealed(fd);
  if (!text.ok()) return text.status();
  if (text->compare(0, kMagic.size(), kMagic.data(), kMagic.size()) != 0) {
    return NoState("it begins with something else");
  }
  pb::KeeperState state;
  if (!state.ParseFromString(text->substr(kMagic.size()))) return NoState("it cannot be parsed");
  if (state.version() < 1) return NoState("it names no version");
  if (state.version() > kStateVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the state was written by keeper ", state.program(), " in version ", state.version(),
        "; keeper ", kVersion, " reads up to version ", kStateVersion,
        ": take a newer program, or restart the keeper, which loses exit codes of what runs"));
  }
  if (state.listener() <= 0 || state.lock() <= 0) return NoState("it names no socket and no lock");
  std::set<std::string> seen;
  for (const pb::ProcessState& process : state.processes()) {
    if (absl::Status s = CheckProcess(process); !s.ok()) return NoState(std::string(s.message()));
    if (seen.insert(ProcessKey(process.record().id())).second) continue;
    return NoState(absl::StrCat(ProcessKey(process.record().id()), " is in it twice"));
  }
  if (absl::Status s = CheckFds(state); !s.ok()) return s;
  return state;
}

absl::Status CheckSamePlaces(const pb::PolicyRecord& before, const pb::PolicyRecord& now) {
  using Text = std::tuple<const char*, const std::string&, const std::string&>;
  for (const auto& [name, old, fresh] : {Text("socket", before.socket(), now.socket()),
                                         Text("run_dir", before.run_dir(), now.run_dir()),
                                         Text("state_dir", before.state_dir(), now.state_dir())}) {
    if (old == fresh) continue;
    return absl::FailedPreconditionError(absl::StrCat(name, " of keeper.yaml was ", old, " and is ",
                                                      fresh,
                                                      "; that takes a restart of the keeper"));
  }
  if (before.agent_uid() != now.agent_uid() || before.agent_gid() != now.agent_gid()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the agent's user of keeper.yaml was ", before.agent_uid(), " and is ",
                     now.agent_uid(), "; that takes a restart of the keeper"));
  }
  if (before.use_cgroups() != now.use_cgroups()) {
    return absl::FailedPreconditionError(
        "`cgroups` of keeper.yaml has changed; that takes a restart of the keeper");
  }
  return absl::OkStatus();
}

std::vector<int> CarriedFds(const pb::KeeperState& state) {
  std::vector<int> named = {state.listener(), state.lock(), state.warden_socket()};
  for (const pb::ProcessState& process : state.processes()) {
    named.push_back(process.pidfd());
    named.push_back(process.gate());
    named.insert(named.end(), process.logs().begin(), process.logs().end());
  }
  std::erase(named, 0);
  return named;
}

void SetCarried(const std::vector<int>& fds, bool carried) {
  for (int fd : fds) fcntl(fd, F_SETFD, carried ? 0 : FD_CLOEXEC);
}

}  // namespace appsup::keeper
