#include "agent/core/adoption.h"

#include <catch2/catch.hpp>

#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

struct World : AgentWorld {
  World() {
    Boot();
    ConnectDriver();
    Connect();
    Assign(RunAssignment("a"));
    Advance(absl::Seconds(1));
  }
  void Return() {
    Boot();
    ConnectDriver();
    Connect();
    Advance(absl::Milliseconds(500));
  }
};

TEST_CASE("adoption: after a crash of the agent the same process is kept") {
  World world;
  const int64_t pid = world.RunningOf("a").pid;
  const api::InstanceStatus before = world.StatusOf("a");
  world.KillAgent();
  world.Return();
  CHECK(world.started == 1);
  CHECK(world.StatusOf("a").pid() == pid);
  CHECK(world.StatusOf("a").attempt() == 1);
  CHECK(world.StatusOf("a").start_time().seconds() == before.start_time().seconds());
  CHECK(world.StatusOf("a").ready());
}

// Else an update would take an old instance for one that does not serve, and remove it.
TEST_CASE("adoption: what was ready is ready until its check says otherwise") {
  AgentWorld world;
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_checks()->mutable_readiness()->mutable_tcp()->set_port("http");
  world.Assign(assignment);
  world.Advance(absl::Seconds(1));
  const bool passes = GENERATE(true, false);
  world.Handle(ReadinessChanged{"a", 1, true, ""});
  if (!passes) world.Handle(ReadinessChanged{"a", 1, false, "connection refused"});
  world.Advance(absl::Seconds(1));
  CHECK_FALSE(world.Seen<StartCheck>().back().passing);

  world.KillAgent();
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  world.Advance(absl::Milliseconds(500));
  CHECK(world.StatusOf("a").ready() == passes);
  CHECK(world.Seen<StartCheck>().back().passing == passes);
  world.Handle(ReadinessChanged{"a", 1, !passes, ""});
  world.Advance(absl::Milliseconds(500));
  CHECK(world.StatusOf("a").ready() != passes);

  world.Handle(ReadinessChanged{"a", 1, true, ""});
  world.Exit("a", 1);  // The next process has to show it anew.
  world.Advance(absl::Seconds(3));
  CHECK(world.StatusOf("a").attempt() == 2);
  CHECK_FALSE(world.StatusOf("a").ready());
}

TEST_CASE("adoption: sequences grow over restarts of the agent") {
  World world;
  int64_t last = world.StatusOf("a").sequence();
  for (int i = 0; i < 3; ++i) {
    world.KillAgent();
    world.Return();
    CHECK(world.StatusOf("a").sequence() > last);
    last = world.StatusOf("a").sequence();
  }
}

TEST_CASE("adoption: an exit while the agent was away is reported with its code") {
  World world;
  world.KillAgent();
  world.Exit("a", 42);
  world.Return();
  CHECK(world.StatusOf("a").exit().code() == 42);
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_STARTING);
  CHECK(world.exits.empty());
  world.Advance(absl::Seconds(3));
  CHECK(world.started == 2);
}

TEST_CASE("adoption: an exit is acknowledged only after it is durable") {
  World world;
  world.commits = false;
  world.Exit("a", 42);
  CHECK(world.exits.size() == 1);
  world.KillAgent();
  world.commits = true;
  world.Return();
  CHECK(world.StatusOf("a").exit().code() == 42);
  CHECK(world.exits.empty());
}

TEST_CASE(
    "adoption: a process that the keeper lost has an unknown exit code, and is started anew") {
  World world;
  world.KillAgent();
  world.processes.clear();
  world.Return();
  CHECK(world.StatusOf("a").exit().unknown());
  world.Advance(absl::Seconds(3));
  CHECK(world.Runs("a"));
  CHECK(world.StatusOf("a").restarts() == 1);
}

TEST_CASE("adoption: after a restart of the machine what should run is started without the entry") {
  World world;
  world.Reboot();
  world.Boot();
  world.ConnectDriver();
  CHECK(world.Runs("a"));
  CHECK(world.RunningOf("a").request.id.attempt == 2);
}

TEST_CASE("adoption: an attempt that never left is started under the same number") {
  World world;
  world.starts = false;
  world.Assign(RunAssignment("b"));
  world.KillAgent();
  world.starts = true;
  world.Return();
  CHECK(world.RunningOf("b").request.id.attempt == 1);
}

TEST_CASE("adoption: STOP that came in before the crash is carried out after it") {
  World world;
  world.stops = false;
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_STOP, 2));
  world.KillAgent();
  world.stops = true;
  world.Return();
  CHECK_FALSE(world.Runs("a"));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_EXITED);
}

TEST_CASE("adoption: a stop that ended while the agent was away is no crash") {
  World world;
  world.stops = false;
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_STOP, 2));
  world.KillAgent();
  world.Exit("a", 0, 15);
  world.Return();
  world.Advance(absl::Minutes(1));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_EXITED);
  CHECK(world.started == 1);
}

TEST_CASE("adoption: what was not durable was never promised") {
  World world;
  world.commits = false;
  world.Assign(RunAssignment("b"));
  world.KillAgent();
  world.commits = true;
  world.Return();
  CHECK(world.state("b") == api::INSTANCE_STATE_UNSPECIFIED);
  CHECK(world.started == 1);
}

TEST_CASE("adoption: with a lost journal a running process is left alone and named in Hello") {
  World world;
  world.KillAgent();
  world.durable = {};
  world.Boot();
  world.ConnectDriver();
  world.received.clear();
  world.LinkUpOnly();
  REQUIRE(world.received.size() == 1);
  REQUIRE(world.received[0].hello().instances_size() == 1);
  CHECK(world.received[0].hello().instances(0).uid() == "a");
  CHECK(world.received[0].hello().instances(0).attempt() == 1);
  world.Welcome();
  world.Advance(absl::Minutes(5));
  CHECK(world.Runs("a"));

  SECTION("the entry states it: it is adopted") {
    world.Assign(RunAssignment("a"));
    world.Advance(absl::Seconds(1));
    CHECK(world.started == 1);
    CHECK(world.StatusOf("a").attempt() == 1);
    CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_RUNNING);
  }
  SECTION("the entry does not know it: that ends nothing") {
    world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_REMOVE, 1));
    world.Advance(absl::Seconds(1));
    CHECK(world.Runs("a"));
  }
}

TEST_CASE("adoption: a restart of the keeper's connection changes nothing") {
  World world;
  world.DisconnectDriver();
  world.ConnectDriver();
  world.Advance(absl::Seconds(1));
  CHECK(world.started == 1);
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_RUNNING);
}

TEST_CASE("adoption: an exit during a broken connection comes with the next inventory") {
  World world;
  world.DisconnectDriver();
  world.Exit("a", 9);
  CHECK(world.state("a") == api::INSTANCE_STATE_RUNNING);
  world.ConnectDriver();
  world.Advance(absl::Milliseconds(200));
  CHECK(world.StatusOf("a").exit().code() == 9);
}

TEST_CASE("adoption: the table of fates") {
  appsupervisor::agent::v1::InstanceRecord record;
  record.mutable_assignment()->set_uid("a");
  record.set_attempt(3);
  Inventory inventory;
  const auto fate = [&] { return FindAttempt(record, "boot", InventoryIndex(inventory)).fate; };
  const auto run = [&](int64_t attempt) {
    inventory.running.push_back({{"a", ProcessKind::kMain, attempt}, "", {}});
  };
  const auto exit = [&](int64_t attempt) {
    inventory.exits.push_back({{"a", ProcessKind::kMain, attempt}, {}});
  };
  SECTION("nothing open, nothing there") { CHECK(fate() == Fate::kNone); }
  SECTION("nothing open, an old process lives") {
    run(3);
    CHECK(fate() == Fate::kNone);
    CHECK(FindAttempt(record, "boot", InventoryIndex(inventory)).stale_running.size() == 1);
  }
  SECTION("a newer process lives") {
    run(4);
    CHECK(fate() == Fate::kNewer);
  }
  SECTION("of several newer ones the newest counts, and the others are stale") {
    run(5);
    run(4);
    exit(6);
    exit(7);
    const Finding finding = FindAttempt(record, "boot", InventoryIndex(inventory));
    CHECK(finding.fate == Fate::kNewer);
    CHECK(finding.process.id.attempt == 5);
    CHECK(finding.stale_running.size() == 1);
    CHECK(finding.stale_exits.size() == 2);
  }
  SECTION("a newer one beside the open one") {
    record.mutable_open()->set_boot_id("boot");
    run(3);
    run(4);
    const Finding finding = FindAttempt(record, "boot", InventoryIndex(inventory));
    CHECK(finding.fate == Fate::kNewer);
    REQUIRE(finding.stale_running.size() == 1);
    CHECK(finding.stale_running[0].attempt == 3);
  }
  SECTION("a newer exit") {
    exit(4);
    CHECK(fate() == Fate::kExited);
  }
  SECTION("an exit that the journal has") {
    exit(3);
    CHECK(fate() == Fate::kNone);
    CHECK(FindAttempt(record, "boot", InventoryIndex(inventory)).stale_exits.size() == 1);
  }
  SECTION("a check is no process of the app") {
    inventory.running.push_back({{"a", ProcessKind::kCheck, 9}, "", {}});
    CHECK(fate() == Fate::kNone);
  }
  SECTION("open") {
    record.mutable_open()->set_boot_id("boot");
    SECTION("never confirmed") { CHECK(fate() == Fate::kNotStarted); }
    SECTION("confirmed and gone") {
      record.mutable_open()->set_started(true);
      CHECK(fate() == Fate::kLost);
    }
    SECTION("another start of the machine") {
      record.mutable_open()->set_boot_id("older");
      CHECK(fate() == Fate::kRebooted);
    }
    SECTION("running") {
      run(3);
      CHECK(fate() == Fate::kRunning);
    }
    SECTION("exited") {
      exit(3);
      CHECK(fate() == Fate::kExited);
    }
  }
}

}  // namespace
}  // namespace appsup::agent
