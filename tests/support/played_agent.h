#pragma once

#include <string>

#include "appsupervisor/v1/link.pb.h"
#include "tests/support/core_harness.h"
#include "tests/support/entry_stage.h"

namespace appsup::entry {

// A fake agent at the other end of a harness's core.
class PlayedAgent {
 public:
  // The node is enrolled. Connects at once.
  PlayedAgent(CoreHarness& entry, const std::string& node) : entry_(entry), fake(node, 0) {
    Connect();
  }

  void Connect() {
    fake.version = 0;
    fake.session_ = entry_.Connect(fake.node_, fake.Hello({}).hello());
    Run();
  }
  void Disconnect() { entry_.Disconnect(fake.session_); }

  // Until the agent and the entry have nothing more to say to each other.
  void Run() {
    for (bool busy = true; busy;) {
      busy = false;
      for (const api::ConnectResponse& message : entry_.ToAgent(fake.session_)) {
        busy = true;
        if (message.has_command()) commands.push_back(message.command());
        if (message.has_cancel_command()) cancelled.push_back(message.cancel_command().id());
        for (const api::ConnectRequest& answer : fake.Take(message)) Say(answer);
      }
      if (auto report = fake.Report()) {
        busy = true;
        Say(*report);
      }
    }
  }

  void Beat() {
    api::ConnectRequest message;
    message.mutable_heartbeat()->set_number(++beats_);
    Say(message);
    Run();
  }

  void Say(const api::ConnectRequest& message) { entry_.FromAgent(fake.session_, message); }

  std::vector<api::Command> commands;  // Received, not answered.
  std::vector<int64_t> cancelled;

 private:
  CoreHarness& entry_;
  int64_t beats_ = 0;

 public:
  FakeAgent fake;
};

}  // namespace appsup::entry
