#include "entry/core/notes.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "appsupervisor/v1/node_service.pb.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

namespace appsup::entry {
namespace {

constexpr char kApp[] = "projects/default/apps/web";

// A node and what is noted of it and of an app "web".
struct World {
  World() {
    entry.AddEnvironment("eu");
    entry.AddNode("n1", "eu");
    agent = std::make_unique<PlayedAgent>(entry, "n1");
  }

  std::string CreateApp() {
    auto operation = entry.Call<api::Operation>("AppService/CreateApp", NewApp("web"));
    REQUIRE(operation.ok());
    return operation->name();
  }

  // The only instance reports this, newer than all before.
  void Report(const std::function<void(api::InstanceStatus&)>& edit) {
    REQUIRE(agent->fake.held.size() == 1);
    api::InstanceStatus& status = agent->fake.held.begin()->second.status;
    status.set_sequence(status.sequence() + 1);
    edit(status);
    api::ConnectRequest message;
    *message.mutable_status()->add_instances() = status;
    agent->Say(message);
    agent->Run();
  }

  // "event key=value …" of each note since the last call; warnings begin with "!".
  std::vector<std::string> Take() {
    std::vector<std::string> lines;
    for (const Note& note : entry.TakeNotes()) {
      std::string& line = lines.emplace_back((note.warning ? "!" : "") + note.event);
      for (const auto& [key, value] : note.fields) {
        // What they say is not this test's.
        line += ' ' + key + (key == "message" || key == "name" ? "" : "=" + value);
      }
    }
    return lines;
  }

  CoreHarness entry;
  std::unique_ptr<PlayedAgent> agent;
};

using Lines = std::vector<std::string>;

TEST_CASE("notes: a session's begin and end and a lost node are told with node and session") {
  World world;
  CHECK(world.Take() == Lines{"node-connected node=n1 session=n1-1 peer=10.0.0.1:4000"});
  world.agent->Disconnect();
  CHECK(world.Take() == Lines{"node-disconnected node=n1 session=n1-1 reason=The stream ended."});
  world.agent->Connect();
  CHECK(world.Take() == Lines{"node-connected node=n1 session=n1-2 peer=10.0.0.1:4000"});
  world.entry.Advance(world.entry.options.lease);
  CHECK(world.Take() ==
        Lines{"!node-lost node=n1 session=n1-2 reason=Its agent was not heard for longer than its "
              "lease.",
              "node-disconnected node=n1 session=n1-2 reason=The lease ended because no heartbeat "
              "came; connect again."});
  world.agent->Disconnect();
  CHECK(world.Take().empty());
}

TEST_CASE("notes: heartbeats and statuses of what goes well are not told") {
  World world;
  world.CreateApp();
  world.agent->Run();
  world.Take();
  world.agent->Beat();
  world.Report([](api::InstanceStatus& status) { status.set_message("as before"); });
  CHECK(world.Take().empty());
}

TEST_CASE("notes: an operation's begin and end are told with its app or node") {
  World world;
  world.Take();
  const std::string created = world.CreateApp();
  const std::string target = " op=" + created + " app=" + kApp + " kind=CREATE";
  CHECK(world.Take() == Lines{"operation-started" + target + " actor=token:admin"});
  world.agent->Run();
  CHECK(world.Take() == Lines{"operation-ended" + target + " state=OK"});

  api::DrainNodeRequest drain;
  drain.set_name("nodes/n1");
  auto drained = world.entry.Call<api::Operation>("NodeService/DrainNode", drain);
  REQUIRE(drained.ok());
  CHECK(world.Take().front() ==
        "operation-started op=" + drained->name() + " node=n1 kind=DRAIN actor=token:admin");
}

TEST_CASE("notes: an operation that gave way ends with its error, which is no warning") {
  World world;
  const std::string created = world.CreateApp();
  world.Take();
  auto stop = Verb<api::StopAppRequest>(world.entry, "StopApp", "web");
  REQUIRE(stop.ok());
  CHECK(std::ranges::count(world.Take(), "operation-ended op=" + created + " app=" + kApp +
                                             " kind=CREATE state=ABORTED message") == 1);
}

TEST_CASE("notes: an operation is told only once it is durable, and never if its commit fails") {
  World world;
  world.Take();
  world.entry.HoldCommits(true);
  world.entry.Send("AppService/CreateApp", NewApp("web"));
  CHECK(world.Take().empty());
  SECTION("durable") {
    world.entry.HoldCommits(false);
    CHECK(world.Take().size() == 1);
  }
  SECTION("failed") {
    world.entry.FailCommit();
    CHECK(world.Take().empty());
  }
}

TEST_CASE("notes: an instance that failed is told once, with app and node") {
  World world;
  world.CreateApp();
  world.agent->Run();
  world.Take();
  const std::string uid = world.agent->fake.held.begin()->first;
  const auto fail = [](api::InstanceStatus& status) {
    status.set_state(api::INSTANCE_STATE_FAILED);
    status.set_ready(false);
    status.set_message("there is no such command");
  };
  world.Report(fail);
  CHECK(world.Take() == Lines{"!instance-failed instance=" + uid + " name app=" + kApp +
                              " node=n1 state=INSTANCE_STATE_FAILED restarts=0 message"});
  world.Report(fail);
  CHECK(world.Take().empty());
}

TEST_CASE("notes: of an instance that keeps ending restart 1, 2, 4 and 8 are told") {
  World world;
  world.CreateApp();
  world.agent->Run();
  world.Take();
  Lines told;
  for (int restart = 1; restart <= 9; ++restart) {
    world.Report([&](api::InstanceStatus& status) { status.set_restarts(restart); });
    for (const std::string& line : world.Take()) {
      told.push_back(std::to_string(restart) + " " + line.substr(0, line.find(' ')));
    }
  }
  CHECK(told == Lines{"1 !instance-restarted", "2 !instance-restarted", "4 !instance-restarted",
                      "8 !instance-restarted"});
}

}  // namespace
}  // namespace appsup::entry
