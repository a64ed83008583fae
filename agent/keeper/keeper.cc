#include "agent/keeper/keeper.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "agent/keeper/errno_error.h"
#include "agent/keeper/report.h"
#include "agent/keeper/spawn.h"
#include "agent/keeper/state_file.h"
#include "common/build_info.h"
#include "common/step_switch.h"

namespace appsup::keeper {

Keeper::Keeper(Policy policy, KeeperOptions options)
    : policy_(std::move(policy)),
      options_(std::move(options)),
      supervisor_(policy_, poller_,
                  {.send =
                       [this](const pb::Response& response) {
                         APPSUP_STEP("answering");
                         door_.Send(response);
                       },
                   .reaped = [this](pid_t pid,
                                    bool ended_well) { return upgrade_.Reaped(pid, ended_well); }}),
      door_(policy_, poller_,
            {.on_connected =
                 [this] {
                   greeted_ = false;
                   supervisor_.ForgetRequests();
                 },
             .on_request = [this](pb::Request request) { OnRequest(std::move(request)); },
             .on_batch_end = [this] { supervisor_.Flush(); }}),
      upgrade_(poller_, options_.command,
               {.state = [this] { return State(); }, .settled = [this] { return Settled(); }}) {}

absl::Status Keeper::OpenSignals() {
  sigset_t handled;
  sigemptyset(&handled);
  for (int signal : {SIGCHLD, SIGHUP, SIGTERM, SIGINT}) sigaddset(&handled, signal);
  if (sigprocmask(SIG_BLOCK, &handled, nullptr) != 0) return SystemError(errno, "sigprocmask");
  signal(SIGPIPE, SIG_IGN);  // Standard error may be a pipe whose reader has gone.
  signals_ = UniqueFd(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return SystemError(errno, "signalfd");
  return absl::OkStatus();
}

absl::Status Keeper::Open(const pb::KeeperState* from) {
  if (absl::Status s = OpenSignals(); !s.ok()) return s;
  // What a tree leaves behind becomes our child and not init's.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return SystemError(errno, "subreaper");
  umask(022);
  RaiseFileLimit();
  if (from != nullptr) SetFileLimitOfChildren({from->file_limit(), from->file_limit_max()});
  if (absl::Status s = poller_.Open(); !s.ok()) return s;
  if (absl::Status s = supervisor_.Open(from); !s.ok()) return s;
  absl::Status opened = from == nullptr ? door_.Open() : door_.TakeOver(UniqueFd(from->listener()));
  if (!opened.ok()) return opened;
  return poller_.Watch(signals_.get(), EPOLLIN, [this] { OnSignals(); });
}

absl::Status Keeper::Run() {
  Report("info", "keeper-ready", {{"socket", policy_.socket}});
  while (true) {
    if (absl::Status s = poller_.RunOnce(); !s.ok()) return s;
    upgrade_.Continue();
    if (end_signals_ == 0) continue;
    if (options_.stop_apps_on_exit ? supervisor_.idle() : !supervisor_.holds_fenced()) break;
  }
  supervisor_.Close();
  Report("info", "keeper-ends");
  return absl::OkStatus();
}

void Keeper::OnSignals() {
  signalfd_siginfo info;
  bool children = false;
  while (read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo == SIGCHLD) {
      children = true;
    } else if (info.ssi_signo == SIGHUP) {
      if (end_signals_ == 0) upgrade_.Begin();
    } else {
      OnEndSignal();
    }
  }
  if (children) supervisor_.Reap();
}

pb::KeeperState Keeper::State() {
  pb::KeeperState state;
  state.set_version(kStateVersion);
  state.set_program(kVersion);
  *state.mutable_policy() = ToRecord(policy_);
  state.set_listener(door_.listener());
  state.set_file_limit(FileLimitOfChildren().rlim_cur);
  state.set_file_limit_max(FileLimitOfChildren().rlim_max);
  supervisor_.Keep(state);
  return state;
}

// What was not read yet, or not answered, is asked again by the agent: its connection ends with
// this program.
bool Keeper::Settled() { return end_signals_ == 0 && supervisor_.settled(); }

void Keeper::OnEndSignal() {
  ++end_signals_;
  if (options_.stop_apps_on_exit) return supervisor_.StopAll(end_signals_ > 1);
  supervisor_.StopFenced(end_signals_ > 1);
}

void Keeper::OnRequest(pb::Request request) {
  APPSUP_STEP("asked");
  uint64_t id = request.id();
  if (request.kind_case() == pb::Request::kHello) {
    greeted_ = true;
    return supervisor_.Hello(id, request.hello());
  }
  if (!greeted_) {
    return supervisor_.Fail(id, absl::FailedPreconditionError("the first request must be Hello"));
  }
  if (request.kind_case() == pb::Request::kSpawn) {
    if (end_signals_ > 0) {
      return supervisor_.Fail(id, absl::UnavailableError("the keeper is ending"));
    }
    return supervisor_.Spawn(id, std::move(*request.mutable_spawn()));
  }
  supervisor_.Flush();  // Requests take effect in the order in which they came.
  switch (request.kind_case()) {
    case pb::Request::kStop:
      return supervisor_.Stop(id, request.stop());
    case pb::Request::kSetLimits:
      return supervisor_.SetLimits(id, request.set_limits());
    case pb::Request::kList:
      return supervisor_.List(id, request.list());
    case pb::Request::kAckExits:
      return supervisor_.AckExits(id, request.ack_exits());
    case pb::Request::kRemoveFolders:
      return supervisor_.RemoveFolders(id, request.remove_folders());
    case pb::Request::kSampleUsage:
      return supervisor_.SampleUsage(id, request.sample_usage());
    case pb::Request::kSetFences:
      return supervisor_.SetFences(id, request.set_fences());
    case pb::Request::kHello:
    case pb::Request::kSpawn:
    case pb::Request::KIND_NOT_SET:
      break;
  }
  supervisor_.Fail(id, absl::UnimplementedError("the keeper does not know this request"));
}

}  // namespace appsup::keeper
