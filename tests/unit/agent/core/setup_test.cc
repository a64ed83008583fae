#include <catch2/catch.hpp>

#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

api::Assignment SetupAssignment(int64_t generation = 1) {
  api::Assignment assignment = RunAssignment("s", generation);
  assignment.set_setup(true);
  assignment.mutable_spec()->mutable_setup()->add_command("migrate");
  return assignment;
}

struct World : AgentWorld {
  World() {
    Boot();
    ConnectDriver();
    Connect();
  }
  void RestartAgent() {
    KillAgent();
    Boot();
    ConnectDriver();
    Connect();
  }
};

TEST_CASE("setup: runs its own command once, and its success is final") {
  World world;
  world.Assign(SetupAssignment());
  CHECK(world.RunningOf("s").request.command == std::vector<std::string>{"migrate"});
  CHECK(world.RunningOf("s").request.id.kind == ProcessKind::kSetup);
  world.Exit("s", 0);
  world.Advance(absl::Hours(1));
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_EXITED);
  CHECK(world.StatusOf("s").exit().code() == 0);
  api::Assignment again = SetupAssignment(2);
  again.set_restart_nonce(9);
  world.Assign(again);
  world.RestartAgent();
  world.Advance(absl::Hours(1));
  CHECK(world.started == 1);
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_EXITED);
}

TEST_CASE("setup: a failure is final, with its code and last lines") {
  World world;
  world.Assign(SetupAssignment());
  world.Exit("s", 2);
  world.Advance(absl::Hours(1));
  CHECK(world.started == 1);
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_FAILED);
  CHECK(world.StatusOf("s").exit().code() == 2);
  CHECK(world.StatusOf("s").log_tail_size() == 1);
  CHECK(world.StatusOf("s").message() == "setup exited with code 2");
}

TEST_CASE("setup: is ended when its time is over") {
  World world;
  api::Assignment assignment = SetupAssignment();
  assignment.mutable_spec()->mutable_setup()->mutable_timeout()->set_seconds(60);
  world.Assign(assignment);
  world.Advance(absl::Seconds(59));
  CHECK(world.Runs("s"));
  world.Advance(absl::Seconds(3));
  CHECK_FALSE(world.Runs("s"));
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_FAILED);
  CHECK(world.StatusOf("s").message() == "setup timed out after 1m and was ended");
}

TEST_CASE("setup: one that had ended before it was told to stop has not timed out") {
  World world;
  world.stops = false;
  api::Assignment assignment = SetupAssignment();
  assignment.mutable_spec()->mutable_setup()->mutable_timeout()->set_seconds(60);
  world.Assign(assignment);
  const ProcessId id = world.RunningOf("s").request.id;
  // The agent itself was stopped meanwhile: the timer comes before the news of the exit.
  world.Advance(absl::Seconds(61));
  ProcessExit exit;
  exit.stopped = GENERATE(false, true);
  world.Handle(ProcessExited{id, exit});
  CHECK(world.StatusOf("s").message() ==
        (exit.stopped ? "setup timed out after 1m and was ended" : "setup succeeded"));
}

TEST_CASE("setup: goes on over a restart of the agent, and its exit is not lost") {
  World world;
  world.Assign(SetupAssignment());
  const bool ends_meanwhile = GENERATE(false, true);
  world.KillAgent();
  if (ends_meanwhile) world.Exit("s", 0);
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  if (!ends_meanwhile) {
    CHECK(world.state("s") == api::INSTANCE_STATE_RUNNING);
    world.Exit("s", 0);
  }
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_EXITED);
  CHECK(world.started == 1);
}

TEST_CASE("setup: an outcome that nobody saw is unknown, and it is not repeated") {
  World world;
  world.Assign(SetupAssignment());
  SECTION("the machine was restarted") { world.Reboot(); }
  SECTION("the keeper knows nothing of it") {
    world.KillAgent();
    world.processes.clear();
  }
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  world.Advance(absl::Hours(1));
  CHECK(world.started == 1);
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_FAILED);
  CHECK(world.StatusOf("s").exit().unknown());
}

TEST_CASE("setup: an attempt that may have been started before a crash counts as unknown") {
  World world;
  world.starts = false;
  world.Assign(SetupAssignment());
  CHECK(world.Seen<StartProcess>().size() == 1);
  world.KillAgent();
  world.starts = true;
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  CHECK(world.started == 0);
  CHECK(world.StatusOf("s").exit().unknown());
}

TEST_CASE("setup: one that could not be started is FAILED") {
  World world;
  world.start_error = "command 'migrate' was not found";
  world.Assign(SetupAssignment());
  world.Advance(absl::Hours(1));
  CHECK(world.Seen<StartProcess>().size() == 1);
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_FAILED);
  CHECK(world.StatusOf("s").message().find("command 'migrate' was not found") != std::string::npos);
}

TEST_CASE("setup: without code that could ever be had it is FAILED, and never ran") {
  World world;
  world.fetches = false;
  api::Assignment assignment = SetupAssignment();
  assignment.mutable_spec()->mutable_artifact()->set_uri("https://files.example/a.tgz");
  world.Assign(assignment);
  ArtifactPrepared absent{world.Seen<PrepareArtifact>()[0].token,
                          absl::NotFoundError("fetch a.tgz: HTTP status 404"), "", ""};
  absent.lasting = true;
  world.Handle(absent);
  world.Advance(absl::Hours(1));
  assignment.set_generation(assignment.generation() + 1);
  world.Assign(assignment);
  CHECK(world.Seen<PrepareArtifact>().size() == 1);
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_FAILED);
  CHECK(world.StatusOf("s").message() ==
        "setup could not be started: fetch a.tgz: HTTP status 404");
  CHECK_FALSE(world.StatusOf("s").has_exit());
  CHECK(world.StatusOf("s").attempt() == 0);
}

TEST_CASE("setup: trouble in preparing it that does not pass ends it with its time") {
  World world;
  world.fetches = false;
  api::Assignment assignment = SetupAssignment();
  assignment.mutable_spec()->mutable_artifact()->set_uri("https://files.example/a.tgz");
  assignment.mutable_spec()->mutable_setup()->mutable_timeout()->set_seconds(600);
  world.Assign(assignment);
  size_t tries = 0;
  for (int i = 0; i < 20; ++i) {
    const auto asked = world.Seen<PrepareArtifact>();
    if (asked.size() > tries) {
      tries = asked.size();
      world.Handle(
          ArtifactPrepared{asked.back().token, absl::UnavailableError("no route"), "", ""});
    }
    if (i < 8) CHECK(world.state("s") == api::INSTANCE_STATE_PREPARING);
    world.Advance(absl::Minutes(1));
  }
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_FAILED);
  CHECK(world.StatusOf("s").message() == "setup could not be started: no route");
  CHECK(tries < 15);
}

TEST_CASE("setup: REMOVE while it runs ends it first") {
  World world;
  world.Assign(SetupAssignment());
  world.Assign(With(SetupAssignment(), api::DESIRED_STATE_REMOVE, 2));
  world.Advance(absl::Seconds(1));
  CHECK_FALSE(world.Runs("s"));
  CHECK(world.StatusOf("s").state() == api::INSTANCE_STATE_REMOVED);
}

}  // namespace
}  // namespace appsup::agent
