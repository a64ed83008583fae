#pragma once

#include <memory>
#include <vector>

#include "tests/simulation/observer.h"
#include "tests/simulation/promises/scene.h"

namespace appsup::simulation {

// One per promise of architecture, section 10, or per group of them. Of 4 most is convergence.h, 8
// is watchers.h. Each fails the world at the moment at which its promise breaks.
std::unique_ptr<Observer> MakeAcknowledged(Scene& scene);  // 1
std::unique_ptr<Observer> MakeHeld(Scene& scene);          // 1, of agents
std::unique_ptr<Observer> MakeOneTree(Scene& scene);       // 2, 3
std::unique_ptr<Observer> MakeDrains(Scene& scene);        // 4
std::unique_ptr<Observer> MakeEpochs(Scene& scene);        // 5
std::unique_ptr<Observer> MakeReports(Scene& scene);       // 6
std::unique_ptr<Observer> MakeSetups(Scene& scene);        // 7
std::unique_ptr<Observer> MakeBounds(Scene& scene);        // 9
std::unique_ptr<Observer> MakeCatalogLoss(Scene& scene);   // 10
std::unique_ptr<Observer> MakeNoStops(Scene& scene);       // 11
std::unique_ptr<Observer> MakeBadInput(Scene& scene);      // 12

// All of them.
class Promises : public Observer {
 public:
  explicit Promises(Scene& scene);

  void OnAppRow(const rec::AppRecord* before, const rec::AppRecord* after) override;
  void OnInstanceRow(const rec::InstanceRecord* before, const rec::InstanceRecord* after) override;
  void OnOperationRow(const rec::OperationRecord* before,
                      const rec::OperationRecord* after) override;
  void OnCommitted(const entry::Transaction& transaction, int64_t epoch) override;
  void OnStoreReplaced() override;
  void OnLeading(int64_t epoch) override;
  void OnReply(const ClientCall& call, const absl::StatusOr<entry::MessagePtr>& reply) override;
  void OnWatched(const ClientCall& call, const api::Event& event) override;
  void OnEntrySays(StreamId stream, int node, const api::ConnectResponse& message) override;
  void OnEntryWritable(StreamId stream) override;
  void OnAgentSays(int node, StreamId stream, const api::ConnectRequest& message) override;
  void OnAgentHears(int node, const api::ConnectResponse& message) override;
  void OnAgentWritable(int node) override;
  void OnAgentStarted(int node) override;
  void OnAsked(int node, const agent::StartProcess& start) override;
  void OnAsked(int node, const agent::StopProcess& stop) override;
  void OnAsked(int node, const agent::KillProcess& kill) override;
  void OnAsked(int node, const agent::AckExit& ack) override;
  void OnAsked(int node, const agent::RemoveFolders& remove) override;
  void OnJournalWritten(int node, const std::vector<agent::JournalPut>& rows) override;
  void OnJournalLost(int node) override;
  void OnJournalTorn(int node, const std::vector<agent::JournalPut>& rows) override;
  void OnTreeStarted(const Tree& tree) override;
  void OnTreeFenced(const Tree& tree) override;
  void OnTreeEnded(const Tree& tree, const agent::ProcessExit& exit) override;

 private:
  std::vector<std::unique_ptr<Observer>> all_;
};

}  // namespace appsup::simulation
