#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/agent_metrics.h"
#include "agent/artifact/artifact_cache.h"
#include "agent/command_runner.h"
#include "agent/core/agent_core.h"
#include "agent/driver/process_driver.h"
#include "agent/journal/journal_writer.h"
#include "agent/journal/sqlite_journal.h"
#include "agent/link/link_blob_fetcher.h"
#include "agent/link/link_client.h"
#include "agent/link/renewal.h"
#include "agent/log/log_reader.h"
#include "agent/node_facts.h"
#include "agent/probe/prober.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/random.h"

namespace appsup::agent {

// The inside of Agent: carries events to the core and its effects out. Loop thread only, but for
// Stop. Members are destroyed from the bottom up: first what calls back, last the loop.
class Agent::Shell : public DriverListener {
 public:
  explicit Shell(const AgentConfig& config) : config_(config) {}
  ~Shell() override;

  absl::Status Open();
  absl::Status Run();
  void Stop() { loop_->Stop(); }

  // DriverListener.
  void OnConnected(const DriverDescription& description, Inventory inventory) override;
  void OnDisconnected(const absl::Status& reason) override;
  void OnStarted(const ProcessId& id, absl::StatusOr<Started> result) override;
  void OnExited(const ProcessId& id, const ProcessExit& exit) override;
  void OnFoldersRemoved(uint64_t token, const absl::Status& status) override;
  void OnFencesSet(std::vector<ProcessId> ids) override;
  void OnLimitsSet(const ProcessId& id, const absl::Status& status) override;
  void OnUsage(std::vector<ProcessUsage> usage) override;

 private:
  // shell_open.cc
  absl::Status MakeFolders();
  absl::Status OpenJobs();
  absl::Status ServeMetrics();
  absl::StatusOr<CoreOptions> MakeOptions(const std::string& entry);
  void OpenLink(const std::string& entry);
  void Sweep();
  void RemoveDiscarded();
  void Repeat(absl::Duration period, std::function<void()> what);

  // shell.cc
  void Handle(Event event);
  void Flush();
  void Perform(WriteJournal effect) { writer_->Append(std::move(effect)); }
  void Perform(StartProcess effect) { driver_->Start(std::move(effect.request)); }
  void Perform(StopProcess effect) { driver_->Stop(effect.id, effect.signal, effect.grace); }
  void Perform(KillProcess effect) { driver_->Kill(effect.id); }
  void Perform(AckExit effect) { driver_->AckExit(effect.id); }
  void Perform(SetFences effect) { driver_->SetFences(std::move(effect.changes)); }
  void Perform(RemoveFolders effect);
  void Perform(SendMessage effect) { link_->Send(effect.connection, std::move(effect.message)); }
  void Perform(CloseLink effect) { link_->Close(effect.connection, effect.reason); }
  void Perform(PrepareArtifact effect);
  void Perform(CancelArtifact effect);
  void Perform(CheckPorts effect);
  void Perform(StartCheck effect);
  void Perform(StopCheck effect);
  void Perform(ReadLogTail effect);
  void Perform(ReadLog effect);
  void Perform(CancelRead effect);
  void Perform(SetTimer effect);
  void Perform(Note effect);

  const AgentConfig config_;
  SystemClock clock_;
  SystemRandom random_;
  UsageSampler sampler_;
  std::unique_ptr<EventLoop> loop_;
  AgentMetrics metrics_;
  std::unique_ptr<SqliteJournal> journal_;
  std::unique_ptr<AgentCore> core_;
  std::unique_ptr<ProcessDriver> driver_;
  std::unique_ptr<CommandRunner> runner_;
  std::unique_ptr<Prober> prober_;
  std::unique_ptr<LogReader> logs_;
  std::unique_ptr<LinkBlobFetcher> blobs_;
  std::unique_ptr<ArtifactCache> cache_;
  std::unique_ptr<JournalWriter> writer_;
  std::unique_ptr<LinkClient> link_;
  std::unique_ptr<CertificateRenewal> renewal_;

  bool flush_posted_ = false;
  EventLoop::TimerId timer_ = 0;
  absl::Status failure_;
  std::map<uint64_t, ArtifactCache::RequestId> artifacts_;               // By token.
  std::map<std::pair<uint64_t, int64_t>, LogReader::ReadId> log_reads_;  // By connection, command.
};

}  // namespace appsup::agent
