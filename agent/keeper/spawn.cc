#include "agent/keeper/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "common/step_switch.h"

namespace appsup::keeper {
namespace {

constexpr size_t kMaxSentence = 4096;

struct ErrorFrame {
  int32_t code;
  char text[kMaxSentence];
};

// 0 in the child. clone3 gives the pidfd and the cgroup in the same step; the process has one
// thread, so the child may go on with ordinary code as after fork.
pid_t Clone(int cgroup_fd, int* pidfd) {
  clone_args args = {};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(pidfd);
  args.exit_signal = SIGCHLD;
  if (cgroup_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup_fd);
  }
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
}

absl::Status MakeGate(UniqueFd* ours, UniqueFd* theirs) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SystemError(errno, "make a gate for a new process");
  }
  *ours = UniqueFd(ends[0]);
  *theirs = UniqueFd(ends[1]);
  return absl::OkStatus();
}

absl::Status ForkError(int error) {
  if (error == EAGAIN || error == ENOMEM || error == EBUSY) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no new process can be made: ", ErrnoText(error),
        "; the node is out of processes or memory, or `limits` of the keeper are too low"));
  }
  return SystemError(error, "make a process");
}

}  // namespace

absl::StatusOr<Spawned> Fork(const Policy& policy, const SpawnPlan& plan) {
  Spawned spawned;
  UniqueFd theirs;
  if (absl::Status s = MakeGate(&spawned.gate, &theirs); !s.ok()) return s;
  int pidfd = -1;
  spawned.pid = Clone(plan.cgroup_fd, &pidfd);
  if (spawned.pid < 0) return ForkError(errno);
  if (spawned.pid == 0) {
    spawned.gate.Reset();
    internal::RunChild(policy, plan, theirs.get());
  }
  APPSUP_STEP("process-made");
  spawned.pidfd = UniqueFd(pidfd);
  return spawned;
}

absl::Status OpenGate(const Spawned& spawned) {
  if (send(spawned.gate.get(), "g", 1, MSG_NOSIGNAL) == 1) return absl::OkStatus();
  return SystemError(errno, "open the gate of a new process");
}

Outcome ReadOutcome(int gate, absl::Status* why) {
  ErrorFrame frame;
  ssize_t n = recv(gate, &frame, sizeof(frame), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Outcome::kPending;
  if (n < static_cast<ssize_t>(sizeof(frame.code))) return Outcome::kRuns;
  *why = absl::Status(static_cast<absl::StatusCode>(frame.code),
                      absl::string_view(frame.text, static_cast<size_t>(n) - sizeof(frame.code)));
  return Outcome::kFailed;
}

absl::StatusOr<Spawned> ForkWorker(absl::Status (*work)(const Policy&,
                                                        const std::vector<std::string>&),
                                   const Policy& policy,
                                   const std::vector<std::string>& arguments) {
  return ForkTask([&](int gate) {
    absl::Status status = work(policy, arguments);
    if (!status.ok()) internal::FailChild(gate, status);
  });
}

absl::StatusOr<Spawned> ForkTask(const std::function<void(int gate)>& task) {
  Spawned spawned;
  UniqueFd theirs;
  if (absl::Status s = MakeGate(&spawned.gate, &theirs); !s.ok()) return s;
  int pidfd = -1;
  spawned.pid = Clone(-1, &pidfd);
  if (spawned.pid < 0) return ForkError(errno);
  if (spawned.pid == 0) {
    int gate = internal::KeepOnlyGate(theirs.get());
    if (gate < 0) internal::FailChild(theirs.get(), SystemError(errno, "close files"));
    task(gate);
    _exit(0);
  }
  APPSUP_STEP("worker-made");
  spawned.pidfd = UniqueFd(pidfd);
  return spawned;
}

namespace internal {

int KeepOnlyGate(int gate) {
  constexpr int kKept = STDERR_FILENO + 1;
  if (gate != kKept && dup3(gate, kKept, O_CLOEXEC) < 0) return -1;
  if (syscall(SYS_close_range, static_cast<unsigned>(kKept) + 1, ~0U, 0) != 0) return -1;
  return kKept;
}

void FailChild(int gate, const absl::Status& why) {
  ErrorFrame frame;
  frame.code = static_cast<int32_t>(why.code());
  size_t size = std::min(why.message().size(), kMaxSentence);
  memcpy(frame.text, why.message().data(), size);
  send(gate, &frame, sizeof(frame.code) + size, MSG_NOSIGNAL);
  _exit(127);
}

}  // namespace internal
}  // namespace appsup::keeper
