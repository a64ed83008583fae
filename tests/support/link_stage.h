#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/entry_stage.h"

// For tests of agents' sessions.
namespace appsup::entry {

inline api::AppSpec LinkSpec(int replicas = 1) {
  api::AppSpec spec;
  spec.set_replicas(replicas);
  spec.mutable_placement()->add_environments("eu");
  spec.mutable_runtime()->mutable_process()->add_command("serve");
  return spec;
}

struct LinkStage : EntryStage {
  LinkStage() {
    AddEnvironment("eu");
    AddNode("n1");
    Run();
  }

  void Send(const api::ConnectRequest& request, const std::string& node = "n1") {
    sessions->Received({agent(node).session_, std::make_shared<api::ConnectRequest>(request)}, now);
  }

  const api::Goodbye* Goodbye(const std::string& node = "n1") {
    for (const api::ConnectResponse& message : agent(node).received) {
      if (message.has_goodbye()) return &message.goodbye();
    }
    return nullptr;
  }

  int Grants(const std::string& node = "n1") {
    int count = 0;
    for (const api::ConnectResponse& message : agent(node).received) {
      count += message.has_lease_granted();
    }
    return count;
  }

  const api::Welcome& Welcome(const std::string& node = "n1") {
    return agent(node).received.at(0).welcome();
  }

  // A stream of a node without a fake agent behind it.
  std::vector<Effect> Open(SessionId session, const std::string& node, const std::string& uid,
                           const api::Hello& hello) {
    AgentConnected event;
    event.session = session;
    event.node = node;
    event.node_uid = uid;
    event.peer = "10.9.9.9:1";
    event.secret = "other";
    sessions->Connected(event, now);
    api::ConnectRequest request;
    *request.mutable_hello() = hello;
    sessions->Received({session, std::make_shared<api::ConnectRequest>(request)}, now);
    return sessions->Collect(now);
  }

  static const api::ConnectResponse* First(const std::vector<Effect>& effects, SessionId session) {
    for (const Effect& effect : effects) {
      const auto* send = std::get_if<SendToAgent>(&effect);
      if (send != nullptr && send->session == session) return send->message.get();
    }
    return nullptr;
  }

  api::NodeState StateOf(const std::string& node) const {
    return catalog.nodes.Find("nodes/" + node)->node().status().state();
  }
};

}  // namespace appsup::entry
