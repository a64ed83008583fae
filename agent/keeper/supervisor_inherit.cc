#include <sys/epoll.h>
#include <sys/syscall.h>

#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/folder.h"
#include "agent/keeper/process_table.h"
#include "agent/keeper/report.h"
#include "agent/keeper/supervisor.h"

namespace appsup::keeper {

// What an earlier keeper of this boot left running goes on under this one. We are not its parent,
// so how it ends cannot be known, but that it ends can.
void Supervisor::Inherit(int slot, const pb::ProcessRecord& record) {
  if (record.boot_id() != boot_id_) {
    children_.RemoveRecord(slot);
    return;
  }
  auto fresh = std::make_unique<Child>();
  fresh->id = record.id();
  fresh->key = ProcessKey(record.id());
  fresh->record = slot;
  fresh->app_uid = record.app_uid();
  fresh->inherited = true;
  fresh->pid = static_cast<pid_t>(record.pid());
  fresh->start_boot_nanos = record.start_boot_nanos();
  fresh->stop_at_exit = record.stop();
  fresh->exit = record.exited();
  fresh->state = record.has_exited() ? ChildState::kExited : ChildState::kRunning;
  Child& child = children_.Add(std::move(fresh));
  if (child.state == ChildState::kExited) return;
  child.log_bound = record.log_bound_bytes();
  for (const std::string& path : record.log_paths()) {
    auto file = OpenLog(policy_, path);
    if (file.ok()) child.logs.emplace_back(*std::move(file), child.log_bound);
  }
  if (record.has_fence()) {
    // Its keeper is dead, so it may not live.
    child.exit.set_by_fence(true);
    child.stopping_with = SIGKILL;
    child.kill_deadline = BootNanos();
  }
  WatchInherited(child);
  if (record.has_fence() && child.state != ChildState::kExited) KillChild(child);
  LookAtLogs(BootNanos());
}

void Supervisor::WatchInherited(Child& child) {
  child.exit.set_unknown(true);
  child.pidfd = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0)));
  auto info = ReadProcess(child.pid);
  bool alive = child.pidfd.valid() && info.ok() &&
               info->start_boot_nanos == child.start_boot_nanos && info->state != 'Z';
  Report("info", alive ? "process-inherited" : "process-lost",
         {{"instance", child.id.instance_uid()},
          {"process", child.key},
          {"pid", absl::StrCat(child.pid)}});
  absl::Status watched;
  if (alive) {
    watched = poller_.Watch(child.pidfd.get(), EPOLLIN, [this, &child] { OnMainEnded(child); });
  }
  if (!alive || !watched.ok()) OnMainEnded(child);
}

}  // namespace appsup::keeper
