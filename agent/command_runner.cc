#include "agent/command_runner.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/sentence.h"
#include "common/digest.h"
#include "common/text_units.h"

namespace appsup::agent {
namespace {

constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr char kInstallUser[] = "install";  // The "app" that install commands run as.
constexpr int64_t kOutputBound = 1 << 20;
constexpr std::streamoff kTailBytes = 4096;
constexpr size_t kLastLine = 400;
constexpr size_t kNameLength = 32;
// What it makes is for all apps of the node to read, whatever the keeper's umask is and whatever
// modes its tools choose. The shell does not see the command's words.
constexpr char kInstallScript[] =
    "umask 022; \"$@\" || exit; PATH=/usr/bin:/bin; "
    "exec find . ! -type l '(' ! -perm -444 -o -perm -100 ! -perm -111 ')' -exec chmod a+rX '{}' +";
constexpr char kUnseen[] = "nobody saw how the command ended";

// The last line that is not empty.
std::string LastLine(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  std::string line;
  std::string last;
  while (std::getline(file, line)) {
    if (!line.empty()) last = line;
  }
  return last.substr(0, kLastLine);
}

std::string Describe(const ExecResult& result, absl::Duration timeout) {
  std::string text = result.timed_out ? absl::StrCat("timed out after ", FormatDuration(timeout))
                     : result.signal != 0 ? absl::StrCat("was ended by ", SignalName(result.signal))
                                          : absl::StrCat("exited with code ", result.exit_code);
  if (!result.last_line.empty()) absl::StrAppend(&text, ": ", result.last_line);
  return text;
}

}  // namespace

CommandRunner::CommandRunner(EventLoop& loop, Clock& clock, Driver& driver, std::string output_dir)
    : loop_(loop), clock_(clock), driver_(driver), output_dir_(std::move(output_dir)) {}

CommandRunner::~CommandRunner() {
  for (auto& [id, run] : runs_) loop_.CancelTimer(run.timer);
}

int64_t CommandRunner::NextAttempt() {
  const int64_t micros = absl::ToInt64Microseconds(clock_.Now().boot);
  last_attempt_ = std::max(last_attempt_ + 1, micros);
  return last_attempt_;
}

void CommandRunner::SetCheck(const ProbeKey& key, StartRequest like) {
  checks_[key] = std::move(like);
}

void CommandRunner::ForgetCheck(const ProbeKey& key) {
  CancelCheck(key);
  checks_.erase(key);
}

void CommandRunner::RunCheck(const ProbeKey& key, const std::vector<std::string>& command,
                             absl::Duration timeout, ExecRunner::Done done) {
  const auto like = checks_.find(key);
  if (like == checks_.end()) {
    loop_.Post([done = std::move(done)]() mutable {
      ExecResult result;
      result.status = absl::NotFoundError("the app of this check does not run");
      done(std::move(result));
    });
    return;
  }
  StartRequest request = like->second;
  request.id = {key.uid, ProcessKind::kCheck, NextAttempt()};
  request.command = command;
  running_checks_[key] = request.id;
  Begin(std::move(request), timeout, [this, key, done = std::move(done)](ExecResult r) mutable {
    running_checks_.erase(key);
    done(std::move(r));
  });
}

void CommandRunner::CancelCheck(const ProbeKey& key) {
  const auto it = running_checks_.find(key);
  if (it == running_checks_.end()) return;
  Drop(it->second);
  running_checks_.erase(it);
}

void CommandRunner::RunInstall(const InstallJob& job, InstallRunner::Done done) {
  StartRequest request;
  request.id = {absl::StrCat("install-", Sha256Hex(job.name).substr(0, kNameLength)),
                ProcessKind::kInstall, NextAttempt()};
  request.app_uid = kInstallUser;
  request.command = {"/bin/sh", "-c", kInstallScript, "install"};
  request.command.insert(request.command.end(), job.command.begin(), job.command.end());
  request.env = {{"HOME", job.folder},
                 {"PATH", absl::StrCat(job.folder, ":", job.folder, "/bin:", kPath)}};
  request.working_dir = job.folder;
  // The group is the agent's, so that it may move the tree away whatever is in it.
  request.folders = {{job.folder, FolderOwner::kApp, 0775, true}};
  installs_[job.id] = request.id;
  Begin(std::move(request), job.timeout,
        [this, id = job.id, timeout = job.timeout, done = std::move(done)](ExecResult r) mutable {
          installs_.erase(id);
          if (!r.status.ok()) return done(r.status);
          const bool ok = !r.timed_out && r.signal == 0 && r.exit_code == 0;
          done(ok ? absl::OkStatus()
                  : absl::FailedPreconditionError(
                        absl::StrCat("install command ", Describe(r, timeout))));
        });
}

void CommandRunner::CancelInstall(uint64_t id) {
  const auto it = installs_.find(id);
  if (it == installs_.end()) return;
  Drop(it->second);
  installs_.erase(it);
}

void CommandRunner::Begin(StartRequest request, absl::Duration timeout, Done done) {
  const ProcessId id = request.id;
  Run& run = runs_[id];
  run.done = std::move(done);
  run.output = absl::StrCat(output_dir_, "/", id.instance_uid, "-", id.attempt, ".out");
  run.timer = loop_.AddTimer(clock_.Now().boot + timeout, [this, id] {
    const auto it = runs_.find(id);
    if (it == runs_.end()) return;
    it->second.timed_out = true;
    driver_.Kill(id);
  });
  request.folders.push_back({output_dir_, FolderOwner::kAgent});
  request.stdout_path = request.stderr_path = run.output;
  request.log_bound_bytes = kOutputBound;
  driver_.Start(std::move(request));
}

void CommandRunner::Drop(const ProcessId& id) {
  const auto it = runs_.find(id);
  if (it == runs_.end()) return;
  loop_.CancelTimer(it->second.timer);
  unlink(it->second.output.c_str());
  runs_.erase(it);
  driver_.Kill(id);  // Its exit is acknowledged when it comes.
}

void CommandRunner::Finish(const ProcessId& id, ExecResult result) {
  const auto it = runs_.find(id);
  if (it == runs_.end()) return;
  Run run = std::move(it->second);
  runs_.erase(it);
  loop_.CancelTimer(run.timer);
  result.timed_out = run.timed_out;
  result.last_line = LastLine(run.output);
  unlink(run.output.c_str());
  run.done(std::move(result));
}

void CommandRunner::OnConnected(const Inventory& inventory) {
  std::set<ProcessId> running;
  for (const RunningProcess& process : inventory.running) {
    running.insert(process.id);
    if (Owns(process.id) && !runs_.contains(process.id)) driver_.Kill(process.id);
  }
  for (const ExitedProcess& process : inventory.exits) {
    if (Owns(process.id)) OnExited(process.id, process.exit);
  }
  // One whose start is not answered yet is asked for again by the driver. Callbacks begin new runs.
  std::vector<ProcessId> lost;
  for (const auto& [id, run] : runs_) {
    if (run.started && !running.contains(id)) lost.push_back(id);
  }
  for (const ProcessId& id : lost) Finish(id, {.status = absl::UnknownError(kUnseen)});
}

void CommandRunner::OnStarted(const ProcessId& id, const absl::StatusOr<Started>& result) {
  if (result.ok()) {
    const auto it = runs_.find(id);
    if (it == runs_.end()) return driver_.Kill(id);
    it->second.started = true;
    return;
  }
  driver_.AckExit(id);
  ExecResult failed;
  failed.status = result.status();
  Finish(id, std::move(failed));
}

void CommandRunner::OnExited(const ProcessId& id, const ProcessExit& exit) {
  driver_.AckExit(id);
  ExecResult result;
  result.exit_code = exit.code;
  result.signal = exit.signal;
  if (exit.unknown) result.status = absl::UnknownError(kUnseen);
  Finish(id, std::move(result));
}

}  // namespace appsup::agent
