#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "appsupervisor/v1/node_service.pb.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

// For tests of what an entry does with a node that follows another history.
namespace appsup::entry {

inline bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// One environment "eu" with node "n1", of which the entry may lose its memory.
struct GuardStage {
  // What runs on the node: uid → attempt and generation.
  using Picture = std::map<std::string, std::pair<int64_t, int64_t>>;

  GuardStage() {
    Found();
    agent = std::make_unique<PlayedAgent>(entry, "n1");
  }

  // The node runs "web", and has seen more of the catalog than this copy of it has.
  void RestoreOlderCopy();
  // A new catalog is prepared for the node.
  void Found() {
    entry.AddEnvironment("eu");
    entry.AddNode("n1", "eu");
  }

  void Connect() {
    Disconnect();
    agent->fake.received.clear();
    held_at_hello.clear();
    for (const auto& [uid, held] : agent->fake.held) {
      if (held.assignment.generation() > 0) held_at_hello.insert(uid);
    }
    agent->Connect();
  }
  void Disconnect() {
    if (agent) agent->Disconnect();
  }
  SessionId ConnectWithoutDriver();

  api::Operation Create(const std::string& id, int replicas = 1);
  // Another command to run.
  api::Operation Edit(const std::string& id, bool recreate = false);
  api::Operation Stop(const std::string& id) {
    return Ran(Verb<api::StopAppRequest>(entry, "StopApp", id));
  }
  api::Operation Delete(const std::string& id) {
    return Ran(Verb<api::DeleteAppRequest>(entry, "DeleteApp", id));
  }
  // Changes that have nothing to do with the node, until the catalog stands beyond this index.
  void Grow(int64_t index = 0);
  // With heartbeats.
  void Wait(absl::Duration duration);

  static api::AcceptCatalogRequest AcceptRequest(const std::string& name) {
    api::AcceptCatalogRequest request;
    request.set_name(name);
    return request;
  }
  absl::StatusOr<api::AcceptCatalogResponse> Accept(const std::string& name) {
    return entry.Call<api::AcceptCatalogResponse>("NodeService/AcceptCatalog", AcceptRequest(name));
  }
  void AcceptAndConnect();

  // The agent's journal is gone: it finds processes that it does not know.
  void LoseJournal();
  void AddStranger(const std::string& uid);

  Picture Running() const;
  // Of apps that the agent knows by name, in order.
  std::vector<std::string> RunningApps() const;
  // All of these run as they did.
  bool KeepsRunning(const Picture& picture) const;
  // Statements since the last Connect.
  std::vector<api::Assignment> ToldSinceHello() const;
  // All of these are to run, and were not held at the last Connect.
  bool OnlyAddedSinceHello() const;

  api::NodeState State(const std::string& node = "n1") const {
    return entry.catalog().nodes.Find("nodes/" + node)->node().status().state();
  }
  api::Condition NodeCondition(const std::string& type) const;
  api::Condition Condition(const std::string& app, const std::string& type) const;
  // The only one of the app that should run, or else the only one.
  rec::InstanceRecord Instance(const std::string& app) const;

  mutable CoreHarness entry;
  std::unique_ptr<PlayedAgent> agent;
  std::set<std::string> held_at_hello;  // Uids that its journal knew.

 private:
  api::Operation Ran(const absl::StatusOr<api::Operation>& operation);
};

}  // namespace appsup::entry
