#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/artifact/install_runner.h"
#include "agent/driver/driver.h"
#include "agent/probe/exec_runner.h"
#include "common/clock.h"
#include "common/event_loop.h"

namespace appsup::agent {

// Runs commands that end by themselves through a driver: checks as their app, install commands as a
// user of their own. Commands that an earlier agent left behind are killed; of one that the driver
// lost the outcome is unknown. Loop thread only; its owner hands it the driver's events of the
// kinds kCheck and kInstall.
class CommandRunner : public ExecRunner, public InstallRunner {
 public:
  // `output_dir`: where commands write to; must lie beneath a root of the keeper's.
  CommandRunner(EventLoop& loop, Clock& clock, Driver& driver, std::string output_dir);
  ~CommandRunner() override;

  // How checks of this key are run: the app's own request with an empty command.
  void SetCheck(const ProbeKey& key, StartRequest like);
  void ForgetCheck(const ProbeKey& key);

  void RunCheck(const ProbeKey& key, const std::vector<std::string>& command,
                absl::Duration timeout, ExecRunner::Done done) override;
  void CancelCheck(const ProbeKey& key) override;
  void RunInstall(const InstallJob& job, InstallRunner::Done done) override;
  void CancelInstall(uint64_t id) override;

  static bool Owns(const ProcessId& id) {
    return id.kind == ProcessKind::kCheck || id.kind == ProcessKind::kInstall;
  }
  void OnConnected(const Inventory& inventory);
  void OnStarted(const ProcessId& id, const absl::StatusOr<Started>& result);
  void OnExited(const ProcessId& id, const ProcessExit& exit);

 private:
  using Done = absl::AnyInvocable<void(ExecResult)>;
  struct Run {
    Done done;
    std::string output;
    bool started = false;  // The driver has said so.
    bool timed_out = false;
    EventLoop::TimerId timer = 0;
  };

  void Begin(StartRequest request, absl::Duration timeout, Done done);
  void Drop(const ProcessId& id);
  void Finish(const ProcessId& id, ExecResult result);
  // Numbers never come twice, over restarts of the agent too.
  int64_t NextAttempt();

  EventLoop& loop_;
  Clock& clock_;
  Driver& driver_;
  const std::string output_dir_;
  int64_t last_attempt_ = 0;
  std::map<ProcessId, Run> runs_;
  std::map<ProbeKey, StartRequest> checks_;
  std::map<ProbeKey, ProcessId> running_checks_;
  std::map<uint64_t, ProcessId> installs_;
};

}  // namespace appsup::agent
