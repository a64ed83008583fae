#include "tests/simulation/promises/promises.h"

namespace appsup::simulation {

Promises::Promises(Scene& scene) {
  all_.push_back(MakeAcknowledged(scene));
  all_.push_back(MakeHeld(scene));
  all_.push_back(MakeOneTree(scene));
  all_.push_back(MakeDrains(scene));
  all_.push_back(MakeEpochs(scene));
  all_.push_back(MakeReports(scene));
  all_.push_back(MakeSetups(scene));
  all_.push_back(MakeBounds(scene));
  all_.push_back(MakeCatalogLoss(scene));
  all_.push_back(MakeNoStops(scene));
  all_.push_back(MakeBadInput(scene));
}

void Promises::OnAppRow(const rec::AppRecord* before, const rec::AppRecord* after) {
  for (const auto& one : all_) one->OnAppRow(before, after);
}

void Promises::OnInstanceRow(const rec::InstanceRecord* before, const rec::InstanceRecord* after) {
  for (const auto& one : all_) one->OnInstanceRow(before, after);
}

void Promises::OnOperationRow(const rec::OperationRecord* before,
                              const rec::OperationRecord* after) {
  for (const auto& one : all_) one->OnOperationRow(before, after);
}

void Promises::OnCommitted(const entry::Transaction& transaction, int64_t epoch) {
  for (const auto& one : all_) one->OnCommitted(transaction, epoch);
}

void Promises::OnStoreReplaced() {
  for (const auto& one : all_) one->OnStoreReplaced();
}

void Promises::OnLeading(int64_t epoch) {
  for (const auto& one : all_) one->OnLeading(epoch);
}

void Promises::OnReply(const ClientCall& call, const absl::StatusOr<entry::MessagePtr>& reply) {
  for (const auto& one : all_) one->OnReply(call, reply);
}

void Promises::OnWatched(const ClientCall& call, const api::Event& event) {
  for (const auto& one : all_) one->OnWatched(call, event);
}

void Promises::OnEntrySays(StreamId stream, int node, const api::ConnectResponse& message) {
  for (const auto& one : all_) one->OnEntrySays(stream, node, message);
}

void Promises::OnEntryWritable(StreamId stream) {
  for (const auto& one : all_) one->OnEntryWritable(stream);
}

void Promises::OnAgentSays(int node, StreamId stream, const api::ConnectRequest& message) {
  for (const auto& one : all_) one->OnAgentSays(node, stream, message);
}

void Promises::OnAgentHears(int node, const api::ConnectResponse& message) {
  for (const auto& one : all_) one->OnAgentHears(node, message);
}

void Promises::OnAgentWritable(int node) {
  for (const auto& one : all_) one->OnAgentWritable(node);
}

void Promises::OnAgentStarted(int node) {
  for (const auto& one : all_) one->OnAgentStarted(node);
}

void Promises::OnAsked(int node, const agent::StartProcess& start) {
  for (const auto& one : all_) one->OnAsked(node, start);
}

void Promises::OnAsked(int node, const agent::StopProcess& stop) {
  for (const auto& one : all_) one->OnAsked(node, stop);
}

void Promises::OnAsked(int node, const agent::KillProcess& kill) {
  for (const auto& one : all_) one->OnAsked(node, kill);
}

void Promises::OnAsked(int node, const agent::AckExit& ack) {
  for (const auto& one : all_) one->OnAsked(node, ack);
}

void Promises::OnAsked(int node, const agent::RemoveFolders& remove) {
  for (const auto& one : all_) one->OnAsked(node, remove);
}

void Promises::OnJournalWritten(int node, const std::vector<agent::JournalPut>& rows) {
  for (const auto& one : all_) one->OnJournalWritten(node, rows);
}

void Promises::OnJournalLost(int node) {
  for (const auto& one : all_) one->OnJournalLost(node);
}

void Promises::OnJournalTorn(int node, const std::vector<agent::JournalPut>& rows) {
  for (const auto& one : all_) one->OnJournalTorn(node, rows);
}

void Promises::OnTreeStarted(const Tree& tree) {
  for (const auto& one : all_) one->OnTreeStarted(tree);
}

void Promises::OnTreeFenced(const Tree& tree) {
  for (const auto& one : all_) one->OnTreeFenced(tree);
}

void Promises::OnTreeEnded(const Tree& tree, const agent::ProcessExit& exit) {
  for (const auto& one : all_) one->OnTreeEnded(tree, exit);
}

}  // namespace appsup::simulation
