// From one program to the next in the same process: children stay ours, exit codes are kept.
#include <sys/epoll.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/report.h"
#include "agent/keeper/supervisor.h"

namespace appsup::keeper {
namespace {

pb::ProcessPhase PhaseOf(ChildState state) {
  switch (state) {
    case ChildState::kStarting:
      return pb::PROCESS_PHASE_STARTING;
    case ChildState::kRunning:
      return pb::PROCESS_PHASE_RUNNING;
    case ChildState::kDraining:
      return pb::PROCESS_PHASE_DRAINING;
    case ChildState::kExited:
      return pb::PROCESS_PHASE_EXITED;
  }
  return pb::PROCESS_PHASE_UNSPECIFIED;
}

ChildState StateOf(pb::ProcessPhase phase) {
  if (phase == pb::PROCESS_PHASE_STARTING) return ChildState::kStarting;
  if (phase == pb::PROCESS_PHASE_RUNNING) return ChildState::kRunning;
  if (phase == pb::PROCESS_PHASE_DRAINING) return ChildState::kDraining;
  return ChildState::kExited;
}

int Number(const UniqueFd& fd) { return fd.valid() ? fd.get() : 0; }

UniqueFd Inherited(int fd) { return fd > 0 ? UniqueFd(fd) : UniqueFd(); }

void KeepChild(const Child& child, pb::ProcessState& process) {
  pb::ProcessRecord& record = *process.mutable_record();
  *record.mutable_id() = child.id;
  record.set_app_uid(child.app_uid);
  record.set_pid(child.pid);
  record.set_start_boot_nanos(child.start_boot_nanos);
  *record.mutable_stop() = child.stop_at_exit;
  record.set_log_bound_bytes(child.log_bound);
  *record.mutable_exited() = child.exit;  // As far as it is known.
  if (child.fence.set()) *record.mutable_fence() = ToMessage(child.fence);
  process.set_slot(child.record);
  process.set_phase(PhaseOf(child.state));
  process.set_inherited(child.inherited);
  process.set_pidfd(Number(child.pidfd));
  process.set_gate(Number(child.gate));
  for (const LogFile& log : child.logs) process.add_logs(log.fd());
  process.set_stopping_with(child.stopping_with);
  process.set_kill_deadline_boot_nanos(child.kill_deadline);
}

std::unique_ptr<Child> ChildOf(const pb::ProcessState& process) {
  const pb::ProcessRecord& record = process.record();
  auto child = std::make_unique<Child>();
  child->id = record.id();
  child->key = ProcessKey(record.id());
  child->app_uid = record.app_uid();
  child->state = StateOf(process.phase());
  child->inherited = process.inherited();
  child->pid = static_cast<pid_t>(record.pid());
  child->start_boot_nanos = record.start_boot_nanos();
  child->pidfd = Inherited(process.pidfd());
  child->gate = Inherited(process.gate());
  child->log_bound = record.log_bound_bytes();
  for (int log : process.logs()) child->logs.emplace_back(UniqueFd(log), child->log_bound);
  child->record = process.slot();
  child->stop_at_exit = record.stop();
  child->stopping_with = process.stopping_with();
  child->kill_deadline = process.kill_deadline_boot_nanos();
  if (record.has_fence()) child->fence = FromMessage(record.fence());
  child->exit = record.exited();
  if (child->inherited) child->exit.set_unknown(true);
  return child;
}

}  // namespace

void Supervisor::Keep(pb::KeeperState& state) {
  state.set_lock(lock_.get());
  cgroups_.Keep(*state.mutable_groups());
  if (warden_.pid() != 0) {
    state.set_warden_pid(warden_.pid());
    state.set_warden_socket(warden_.socket());
  }
  children_.ForEachAfter("", [&](Child& child) {
    KeepChild(child, *state.add_processes());
    return true;
  });
}

absl::Status Supervisor::TakeOver(const pb::KeeperState& from) {
  for (const pb::ProcessState& process : from.processes()) {
    if (absl::Status s = TakeOver(process); !s.ok()) return s;
  }
  FencedGroups fenced;
  children_.ForEachAfter("", [&](Child& child) {
    if (child.fence.set()) fenced[child.group()] = child.fence.deadline;
    return true;
  });
  warden_.TakeOver(static_cast<pid_t>(from.warden_pid()), Inherited(from.warden_socket()),
                   std::move(fenced));
  LookAtLogs(BootNanos());
  Reap();  // What ended meanwhile may have been told to the program before.
  Report("info", "upgraded",
         {{"from", from.program()}, {"processes", absl::StrCat(from.processes_size())}});
  return absl::OkStatus();
}

absl::Status Supervisor::TakeOver(const pb::ProcessState& process) {
  Child& child = children_.Add(ChildOf(process));
  if (child.state == ChildState::kExited) return absl::OkStatus();
  if (child.stopping_with != 0) {
    child.kill_timer = poller_.At(child.kill_deadline, [this, &child] { KillChild(child); });
  }
  ArmFence(child);
  if (child.state == ChildState::kDraining) {
    WatchRest(child);
    LookAtRest(child);
    return absl::OkStatus();
  }
  if (child.state == ChildState::kStarting) {
    return poller_.Watch(child.gate.get(), EPOLLIN, [this, &child] { OnGate(child); });
  }
  if (!child.inherited) return absl::OkStatus();
  return poller_.Watch(child.pidfd.get(), EPOLLIN, [this, &child] { OnMainEnded(child); });
}

}  // namespace appsup::keeper
