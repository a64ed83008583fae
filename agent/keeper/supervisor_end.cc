#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/process_table.h"
#include "agent/keeper/report.h"
#include "agent/keeper/small_file.h"
#include "agent/keeper/supervisor.h"
#include "common/step_switch.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
// How often a tree without a control group is looked for.
constexpr int64_t kLookPeriodNanos = 20 * kNanosPerMilli;

}  // namespace

void Supervisor::Stop(uint64_t request, const pb::StopRequest& stop) {
  absl::Status checked = CheckStop(stop.settings());
  if (!checked.ok()) return Fail(request, checked);
  Child* child = children_.Find(ProcessKey(stop.id()));
  if (child != nullptr && child->state != ChildState::kExited) {
    BeginStop(*child, stop.settings().signal(),
              BootNanos() + stop.settings().grace_millis() * kNanosPerMilli);
  }
  Send(OkResponse(request));
}

void Supervisor::BeginStop(Child& child, int signal, int64_t deadline) {
  if (child.stopping_with == 0 || deadline < child.kill_deadline) {
    poller_.Cancel(child.kill_timer);
    child.kill_deadline = deadline;
    child.kill_timer = poller_.At(deadline, [this, &child] { KillChild(child); });
  }
  child.stopping_with = signal;
  if (deadline <= BootNanos()) return;  // The kill follows in this round of the loop.
  if (child.pidfd.valid()) {
    syscall(SYS_pidfd_send_signal, child.pidfd.get(), signal, nullptr, 0);
  }
  APPSUP_STEP("signalled");
}

void Supervisor::KillChild(Child& child) {
  child.kill_timer = {};
  child.kill_deadline = BootNanos();
  if (cgroups_.tree_kill()) {
    cgroups_.Kill(child.group());
  } else {
    KillTree(SessionOf(child), child.key);
  }
  // Also where the group has been emptied behind our back.
  if (child.pidfd.valid()) {
    syscall(SYS_pidfd_send_signal, child.pidfd.get(), SIGKILL, nullptr, 0);
  }
  APPSUP_STEP("killed");
}

void Supervisor::StopAll(bool kill) {
  children_.ForEachAfter("", [&](Child& child) {
    if (child.state != ChildState::kExited) StopBySettings(child, kill);
    return true;
  });
}

void Supervisor::StopBySettings(Child& child, bool kill) {
  int64_t grace = kill ? 0 : child.stop_at_exit.grace_millis() * kNanosPerMilli;
  BeginStop(child, child.stop_at_exit.signal(), BootNanos() + grace);
}

bool Supervisor::idle() {
  bool idle = workers_.empty() && fresh_.empty();
  children_.ForEachAfter("", [&](Child& child) {
    idle = idle && child.state == ChildState::kExited;
    return idle;
  });
  return idle;
}

void Supervisor::Reap() {
  while (true) {
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) break;
    bool by_itself = info.si_code == CLD_EXITED;
    if (warden_.Reaped(info.si_pid)) continue;
    if (ReapWorker(info.si_pid, by_itself && info.si_status == 0)) continue;
    Child* child = children_.FindPid(info.si_pid);
    if (child == nullptr) {  // Or else an orphan of some tree.
      host_.reaped(info.si_pid, by_itself && info.si_status == 0);
      continue;
    }
    child->exit.set_code(by_itself ? info.si_status : 0);
    child->exit.set_signal(by_itself ? 0 : info.si_status);
    OnMainEnded(*child);
  }
  // Orphans that were reaped may have been the last of their trees.
  if (cgroups_.tree_kill()) return;
  children_.ForEachAfter("", [this](Child& child) {
    if (child.state == ChildState::kDraining) LookAtRest(child);
    return true;
  });
}

void Supervisor::OnMainEnded(Child& child) {
  APPSUP_STEP("process-ended");
  if (child.state == ChildState::kStarting) {
    absl::Status why;
    bool failed = ReadOutcome(child.gate.get(), &why) == Outcome::kFailed;
    poller_.Unwatch(child.gate.get());
    if (failed) return OnStartFailed(child, why);
    OnStarted(child);  // It ended before we noticed that it had begun.
  }
  *child.exit.mutable_id() = child.id;
  child.exit.set_unix_nanos(UnixNanos());
  // The warden may have been faster.
  if (child.fence.set() && child.fence.stop_at() <= BootNanos()) child.exit.set_by_fence(true);
  child.exit.set_stopped(child.stopping_with != 0);
  child.state = ChildState::kDraining;
  children_.ReleasePid(child);
  if (child.inherited) poller_.Unwatch(child.pidfd.get());
  child.pidfd.Reset();
  if (TreeIsEmpty(child)) return Finish(child);

  if (child.stopping_with != 0 && child.kill_deadline > BootNanos()) {
    SignalRest(child);
  } else {
    KillChild(child);
  }
  WatchRest(child);
  LookAtRest(child);
}

// Tells when a tree without its main process is empty; without control groups LookAtRest does.
void Supervisor::WatchRest(Child& child) {
  if (cgroups_.tree_kill()) {
    child.events = cgroups_.OpenEvents(child.group());
    if (child.events.valid()) {
      // If this fails, the timer below still looks.
      absl::Status watched =
          poller_.Watch(child.events.get(), EPOLLPRI, [this, &child] { LookAtRest(child); });
      if (!watched.ok()) child.events.Reset();
    }
  }
}

// Called when something may have changed about a tree without its main process.
void Supervisor::LookAtRest(Child& child) {
  if (TreeIsEmpty(child)) return Finish(child);
  if (child.events.valid()) return;
  poller_.Cancel(child.look_timer);
  child.look_timer = poller_.At(BootNanos() + kLookPeriodNanos, [this, &child] {
    if (child.kill_deadline != 0 && child.kill_deadline <= BootNanos()) KillChild(child);
    LookAtRest(child);
  });
}

bool Supervisor::TreeIsEmpty(Child& child) {
  if (child.events.valid()) return !Cgroups::Populated(child.events.get());
  if (cgroups_.tree_kill()) return !cgroups_.Populated(child.group());
  if (!child.inherited && NoUnknownChildren()) return true;
  return FindTree(SessionOf(child), child.key).empty();
}

// The session that a tree without control groups was started in. Its number may be used again once
// the main process is gone: not by the kernel as long as the session has members, but then by
// others.
pid_t Supervisor::SessionOf(const Child& child) {
  Child* owner = children_.FindPid(child.pid);
  return owner == nullptr || owner == &child ? child.pid : 0;
}

// Whatever a tree leaves behind becomes our child (PR_SET_CHILD_SUBREAPER). If all children that we
// have are main processes and workers, nothing was left behind.
bool Supervisor::NoUnknownChildren() {
  auto text = ReadSmallFile(absl::StrCat("/proc/self/task/", getpid(), "/children"), 1 << 20);
  if (!text.ok()) return false;
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(*text, ' '))) {
    pid_t pid;
    if (!absl::SimpleAtoi(word, &pid)) continue;
    if (children_.FindPid(pid) == nullptr && workers_.count(pid) == 0) return false;
  }
  return true;
}

void Supervisor::SignalRest(Child& child) {
  std::vector<pid_t> members = cgroups_.tree_kill() ? cgroups_.Members(child.group())
                                                    : FindTree(SessionOf(child), child.key);
  for (pid_t pid : members) kill(pid, child.stopping_with);
}

void Supervisor::CancelTimers(Child& child) {
  poller_.Cancel(child.kill_timer);
  poller_.Cancel(child.look_timer);
  child.kill_timer = child.look_timer = {};
}

void Supervisor::Finish(Child& child) {
  CancelTimers(child);
  if (child.events.valid()) poller_.Unwatch(child.events.get());
  child.events.Reset();
  child.exit.set_out_of_memory(cgroups_.OutOfMemory(child.group()));
  cgroups_.Remove(child.group());
  DropFence(child);
  APPSUP_STEP("tree-empty");
  for (LogFile& log : child.logs) log.Bound(0, 0).IgnoreError();  // Told by BoundLogs, if at all.
  child.logs.clear();
  child.logs.shrink_to_fit();
  child.state = ChildState::kExited;
  absl::Status saved = children_.Save(child, boot_id_, {});
  if (!saved.ok()) {
    Report("error", "exit-not-recorded",
           {{"instance", child.id.instance_uid()},
            {"process", child.key},
            {"error", std::string(saved.message())}});
  }
  Report("info", "process-exited",
         {{"instance", child.id.instance_uid()},
          {"process", child.key},
          {"code", absl::StrCat(child.exit.code())},
          {"signal", absl::StrCat(child.exit.signal())}});
  pb::Response event;
  *event.mutable_exited() = child.exit;
  Send(event);
}

}  // namespace appsup::keeper
