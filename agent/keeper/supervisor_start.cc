#include <malloc.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/folder.h"
#include "agent/keeper/process_table.h"
#include "agent/keeper/report.h"
#include "agent/keeper/supervisor.h"
#include "common/step_switch.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kTrimNanos = 2'000'000'000;
constexpr int32_t kNotStartedCode = 127;  // As shells have it.

std::vector<std::string> Environment(const pb::SpawnRequest& spawn, const std::string& marker) {
  std::vector<std::string> env;
  env.reserve(static_cast<size_t>(spawn.env_size()) + 1);
  for (const pb::EnvVar& variable : spawn.env()) {
    if (variable.name() == kMarkerVariable) continue;
    env.push_back(absl::StrCat(variable.name(), "=", variable.value()));
  }
  env.push_back(absl::StrCat(kMarkerVariable, "=", marker));
  return env;
}

}  // namespace

absl::StatusOr<Identity> Supervisor::IdentityFor(const pb::SpawnRequest& spawn) {
  Identity own = {geteuid(), getegid()};
  if (own.uid != 0) {
    if (spawn.user().empty()) return own;
    auto account = FindAccount(spawn.user());
    if (!account.ok()) return account.status();
    if (account->uid == own.uid) return own;
    return absl::PermissionDeniedError(
        absl::StrCat("user \"", spawn.user(),
                     "\" is refused: this keeper does not run as root and so runs all "
                     "apps as user id ",
                     own.uid));
  }
  if (!spawn.user().empty()) return AllowedAccount(policy_, spawn.user());
  auto uid = uids_.Get(spawn.app_uid());
  if (!uid.ok()) return uid.status();
  return Identity{*uid, *uid};
}

void Supervisor::AnswerStarted(uint64_t request, const Child& child) {
  pb::Response response = OkResponse(request);
  response.mutable_spawn()->set_pid(child.pid);
  response.mutable_spawn()->set_start_boot_nanos(child.start_boot_nanos);
  Send(response);
}

bool Supervisor::AnswerIfKnown(uint64_t request, const std::string& key) {
  Child* known = children_.Find(key);
  if (known == nullptr) return false;
  if (known->state == ChildState::kStarting) {
    known->waiters.push_back(request);
  } else {
    AnswerStarted(request, *known);
  }
  return true;
}

void Supervisor::Spawn(uint64_t request, pb::SpawnRequest spawn) {
  absl::Status checked = CheckSpawn(spawn);
  if (!checked.ok()) return Fail(request, checked);
  if (AnswerIfKnown(request, ProcessKey(spawn.id()))) return;
  auto identity = IdentityFor(spawn);
  if (!identity.ok()) return Fail(request, identity.status());
  fresh_.push_back({request, std::move(spawn), *identity});
}

void Supervisor::Flush() {
  if (fresh_.empty()) return;
  std::vector<FreshSpawn> fresh = std::exchange(fresh_, {});
  absl::Status durable = uids_.Sync();
  for (const FreshSpawn& one : fresh) {
    if (AnswerIfKnown(one.request, ProcessKey(one.spawn.id()))) continue;
    absl::Status status = durable.ok() ? Launch(one) : durable;
    if (!status.ok()) Fail(one.request, status);
  }
  // Requests are large beside what is remembered of them: give the memory back after a burst.
  if (trim_timer_ != Poller::TimerId()) return;
  trim_timer_ = poller_.At(BootNanos() + kTrimNanos, [this] {
    trim_timer_ = {};
    malloc_trim(0);
  });
}

absl::Status Supervisor::OpenLogs(const pb::SpawnRequest& spawn, Child& child, SpawnPlan* plan) {
  plan->stdout_fd = plan->stderr_fd = null_.get();
  child.log_bound = spawn.log_bound_bytes();
  for (auto [path, fd] : {std::pair{&spawn.stdout_path(), &plan->stdout_fd},
                          {&spawn.stderr_path(), &plan->stderr_fd}}) {
    if (path->empty()) continue;
    if (!child.logs.empty() && *path == spawn.stdout_path()) {
      *fd = child.logs[0].fd();
      continue;
    }
    auto file = OpenLog(policy_, *path);
    if (!file.ok()) return file.status();
    *fd = file->get();
    child.logs.emplace_back(*std::move(file), child.log_bound);
    plan->log_paths.push_back(*path);
  }
  return absl::OkStatus();
}

absl::Status Supervisor::Launch(const FreshSpawn& fresh) {
  const pb::SpawnRequest& spawn = fresh.spawn;
  auto child = std::make_unique<Child>();
  child->id = spawn.id();
  child->key = ProcessKey(spawn.id());
  child->app_uid = spawn.app_uid();
  child->stop_at_exit = spawn.stop();
  child->waiters.push_back(fresh.request);
  if (Child* other = children_.FindOther(*child)) {
    return absl::FailedPreconditionError(
        absl::StrCat("attempt ", other->id.attempt(), " still runs; stop it first"));
  }
  if (spawn.has_fence()) {
    if (absl::Status s = CheckFenceOf(spawn); !s.ok()) return s;
    child->fence = FromMessage(spawn.fence());
  }

  SpawnPlan plan;
  plan.command.assign(spawn.command().begin(), spawn.command().end());
  plan.env = Environment(spawn, child->key);
  plan.working_dir = spawn.working_dir();
  plan.identity = fresh.identity;
  plan.stdin_fd = null_.get();
  for (const pb::Folder& folder : spawn.folders()) {
    bool apps = folder.owner() == pb::FOLDER_OWNER_APP;
    absl::Status prepared =
        PrepareFolder(policy_, folder.path(), apps ? fresh.identity : policy_.agent, folder.mode());
    if (!prepared.ok()) return prepared;
    if (folder.adopt_tree()) plan.adopt.push_back(folder.path());
  }
  if (absl::Status s = OpenLogs(spawn, *child, &plan); !s.ok()) return s;
  auto group = cgroups_.Make(child->group(), WithinCeilings(policy_, spawn.limits()));
  if (!group.ok()) return group.status();
  plan.cgroup_fd = group->get();
  APPSUP_STEP("group-made");
  plan.dies_with = child->fence.set() ? getpid() : 0;
  absl::Status status = ForkAndRelease(plan, *child);
  if (!status.ok()) {
    cgroups_.Remove(child->group());
    DropFence(*child);
    return status;
  }
  Child& added = children_.Add(std::move(child));
  ArmFence(added);
  if (added.log_bound > 0 && !added.logs.empty()) LookAtLogs(BootNanos() + QuietPause(log_count_));
  return poller_.Watch(added.gate.get(), EPOLLIN, [this, &added] { OnGate(added); });
}

// The record comes before the gate opens: whatever runs an app's code is known to the next keeper,
// and if it is fenced, to the warden.
absl::Status Supervisor::ForkAndRelease(const SpawnPlan& plan, Child& child) {
  auto spawned = Fork(policy_, plan);
  if (!spawned.ok()) return spawned.status();
  child.pid = spawned->pid;
  absl::Status status = cgroups_.Join(child.group(), child.pid);
  auto info = ReadProcess(child.pid);
  if (status.ok()) status = info.status();
  if (status.ok()) {
    child.start_boot_nanos = info->start_boot_nanos;
    status = children_.Save(child, boot_id_, plan.log_paths);
  }
  if (status.ok() && child.fence.set()) {
    status = warden_.Move({{child.group(), child.fence.deadline}});
  }
  if (status.ok()) status = OpenGate(*spawned);
  if (!status.ok()) {
    // It waits at the gate and does nothing else, so the wait is short.
    syscall(SYS_pidfd_send_signal, spawned->pidfd.get(), SIGKILL, nullptr, 0);
    waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(spawned->pidfd.get()), nullptr,
           WEXITED);
    children_.RemoveRecord(child.record);
    return status;
  }
  APPSUP_STEP("gate-opened");
  child.pidfd = std::move(spawned->pidfd);
  child.gate = std::move(spawned->gate);
  return absl::OkStatus();
}

void Supervisor::OnGate(Child& child) {
  absl::Status why;
  Outcome outcome = ReadOutcome(child.gate.get(), &why);
  if (outcome == Outcome::kPending) return;
  poller_.Unwatch(child.gate.get());
  if (outcome == Outcome::kRuns) return OnStarted(child);
  // It is about to end; what it said is told once it has, so that nothing of it is left then.
  // Blocks for the end of a process that only has _exit before it.
  waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(child.pidfd.get()), nullptr, WEXITED);
  OnStartFailed(child, why);
}

void Supervisor::OnStarted(Child& child) {
  APPSUP_STEP("process-runs");
  child.gate.Reset();
  child.state = ChildState::kRunning;
  Report("info", "process-started",
         {{"instance", child.id.instance_uid()},
          {"process", child.key},
          {"pid", absl::StrCat(child.pid)}});
  for (uint64_t request : std::exchange(child.waiters, {})) AnswerStarted(request, child);
}

void Supervisor::OnStartFailed(Child& child, const absl::Status& why) {
  Report("warning", "process-not-started",
         {{"instance", child.id.instance_uid()},
          {"process", child.key},
          {"error", std::string(why.message())}});
  // Without an answer its end is told, as of all that agents have been told of.
  const bool keeps_exit = child.listed || child.waiters.empty();
  for (uint64_t request : std::exchange(child.waiters, {})) Fail(request, why);
  if (keeps_exit) {
    *child.exit.mutable_id() = child.id;
    child.exit.set_unix_nanos(UnixNanos());
    child.exit.set_signal(0);
    child.exit.set_code(kNotStartedCode);
    child.exit.set_stopped(child.stopping_with != 0);
    children_.ReleasePid(child);
    child.gate.Reset();
    child.pidfd.Reset();
    return Finish(child);
  }
  CancelTimers(child);
  cgroups_.Remove(child.group());
  DropFence(child);
  children_.Erase(child);
}

}  // namespace appsup::keeper
