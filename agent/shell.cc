#include "agent/shell.h"

#include <utility>

#include "agent/artifact/artifact_error.h"
#include "agent/port_check.h"
#include "common/log.h"
#include "common/step_switch.h"

namespace appsup::agent {
namespace {

constexpr int kTailLines = 20;

bool IsApp(const ProcessId& id) { return !CommandRunner::Owns(id); }

}  // namespace

Agent::Shell::~Shell() {
  // Threads that post to the loop or call the core's effects end before anything they use.
  renewal_.reset();
  if (link_ != nullptr) link_->Stop();
  writer_.reset();
}

absl::Status Agent::Shell::Run() {
  loop_->Run();
  return failure_;
}

void Agent::Shell::Handle(Event event) {
  core_->Handle(std::move(event), clock_.Now());
  if (std::exchange(flush_posted_, true)) return;
  // Not at once: what else comes in this round shares one commit.
  loop_->Post([this] { Flush(); });
}

void Agent::Shell::Flush() {
  flush_posted_ = false;
  std::vector<Effect> effects = core_->Flush();
  for (Effect& effect : effects) {
    APPSUP_STEP(effect);
    std::visit([this](auto& it) { Perform(std::move(it)); }, effect);
  }
  if (!effects.empty()) APPSUP_STEP("flushed");
}

void Agent::Shell::Perform(RemoveFolders effect) {
  driver_->RemoveFolders(effect.token, std::move(effect.paths));
}

void Agent::Shell::Perform(PrepareArtifact effect) {
  const uint64_t token = effect.token;
  artifacts_[token] = cache_->Ensure(effect.artifact, effect.install,
                                     [this, token](absl::StatusOr<ArtifactReady> ready) {
                                       artifacts_.erase(token);
                                       ArtifactPrepared prepared{token, ready.status(), "", ""};
                                       prepared.lasting = IsLasting(ready.status());
                                       if (ready.ok()) {
                                         prepared.folder = ready->path;
                                         prepared.sha256 = ready->sha256;
                                       }
                                       Handle(std::move(prepared));
                                     });
}

void Agent::Shell::Perform(CancelArtifact effect) {
  const auto it = artifacts_.find(effect.token);
  if (it == artifacts_.end()) return;
  cache_->Cancel(it->second);
  artifacts_.erase(it);
}

void Agent::Shell::Perform(CheckPorts effect) {
  Handle(PortsChecked{effect.token, FindBusyPorts(effect.ports)});
}

void Agent::Shell::Perform(StartCheck effect) {
  const ProbeKey key{effect.uid, effect.attempt};
  absl::StatusOr<ProbeSpec> spec = ResolveProbe(effect.check, effect.address, effect.ports);
  if (spec.ok()) spec->threshold.passing = effect.passing;
  if (spec.ok() && spec->kind == ProbeKind::kExec) runner_->SetCheck(key, std::move(effect.like));
  const auto told = [this](const ProbeKey& of, const ProbeResult& result) {
    const bool passing = result.verdict == Threshold::Verdict::kPassing;
    if (passing && !result.verdict_changed) return;
    Handle(ReadinessChanged{of.uid, of.attempt, passing, passing ? "" : result.message});
  };
  const absl::Status status =
      spec.ok() ? prober_->StartProbe(key, *std::move(spec), told) : spec.status();
  if (!status.ok()) {
    Handle(ReadinessChanged{effect.uid, effect.attempt, false, std::string(status.message())});
  }
}

void Agent::Shell::Perform(StopCheck effect) {
  prober_->StopProbe({effect.uid, effect.attempt});
  runner_->ForgetCheck({effect.uid, effect.attempt});
}

void Agent::Shell::Perform(ReadLogTail effect) {
  Handle(LogTailRead{effect.uid, effect.attempt,
                     logs_->LastLines(effect.uid, effect.attempt, kTailLines)});
}

void Agent::Shell::Perform(ReadLog effect) {
  const std::pair key{effect.connection, effect.command_id};
  log_reads_[key] =
      logs_->Read(effect.read, [this, key](absl::StatusOr<appsupervisor::v1::LogChunk> chunk) {
        log_reads_.erase(key);
        LogRead read{key.first, key.second, chunk.status(), chunk.ok(), {}};
        if (chunk.ok()) read.chunk = *std::move(chunk);
        Handle(std::move(read));
      });
}

void Agent::Shell::Perform(CancelRead effect) {
  const auto it = log_reads_.find({effect.connection, effect.command_id});
  if (it == log_reads_.end()) return;
  logs_->Cancel(it->second);
  log_reads_.erase(it);
}

void Agent::Shell::Perform(SetTimer effect) {
  loop_->CancelTimer(timer_);
  timer_ = loop_->AddTimer(effect.boot_deadline, [this] { Handle(TimerDue{}); });
}

void Agent::Shell::Perform(Note effect) {
  const LogLevel level = effect.warning ? LogLevel::kWarning : LogLevel::kInfo;
  std::vector<LogField> fields;
  for (const auto& [key, value] : effect.fields) fields.emplace_back(key, value);
  LogFields(level, effect.event, fields);
}

void Agent::Shell::OnConnected(const DriverDescription& description, Inventory inventory) {
  for (const RunningProcess& process : inventory.running) {
    if (IsApp(process.id)) logs_->AttemptStarted(process.id.instance_uid, process.id.attempt);
  }
  metrics_.SetDriverConnected(true);
  runner_->OnConnected(inventory);
  RemoveDiscarded();
  Handle(DriverUp{description, std::move(inventory)});
}

void Agent::Shell::OnDisconnected(const absl::Status& reason) {
  metrics_.SetDriverConnected(false);
  Handle(DriverDown{reason});
}

void Agent::Shell::OnStarted(const ProcessId& id, absl::StatusOr<Started> result) {
  if (!IsApp(id)) return runner_->OnStarted(id, result);
  if (result.ok()) logs_->AttemptStarted(id.instance_uid, id.attempt);
  Handle(ProcessStarted{id, std::move(result)});
}

void Agent::Shell::OnExited(const ProcessId& id, const ProcessExit& exit) {
  if (!IsApp(id)) return runner_->OnExited(id, exit);
  logs_->AttemptEnded(id.instance_uid, id.attempt);
  Handle(ProcessExited{id, exit});
}

void Agent::Shell::OnFoldersRemoved(uint64_t token, const absl::Status& status) {
  Handle(FoldersRemoved{token, status});
}

void Agent::Shell::OnFencesSet(std::vector<ProcessId> ids) { Handle(FencesSet{std::move(ids)}); }

void Agent::Shell::OnLimitsSet(const ProcessId&, const absl::Status&) {}

void Agent::Shell::OnUsage(std::vector<ProcessUsage> usage) {
  std::erase_if(usage, [](const ProcessUsage& it) { return !IsApp(it.id); });
  metrics_.SetUsage(usage);
  Handle(UsageSampled{std::move(usage), sampler_.Sample()});
}

}  // namespace appsup::agent
