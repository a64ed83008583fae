#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "absl/strings/str_cat.h"
#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

struct World : AgentWorld {
  World() {
    Boot();
    ConnectDriver();
    Connect();
  }
};

TEST_CASE("instance: what is assigned runs and is reported ready") {
  World world;
  world.Assign(RunAssignment("a"));
  CHECK(world.state("a") == api::INSTANCE_STATE_RUNNING);
  world.Advance(absl::Seconds(1));
  const api::InstanceStatus status = world.StatusOf("a");
  CHECK(status.state() == api::INSTANCE_STATE_RUNNING);
  CHECK(status.ready());
  CHECK(status.attempt() == 1);
  CHECK(status.restarts() == 0);
  CHECK(status.pid() == world.RunningOf("a").pid);
  CHECK(status.generation() == 1);
}

TEST_CASE("instance: a change of its state is noted with uid, name and app") {
  World world;
  world.Assign(RunAssignment("a"));
  const auto notes = world.Seen<Note>();
  const auto note = std::find_if(notes.begin(), notes.end(),
                                 [](const Note& it) { return it.event == "instance-state"; });
  REQUIRE(note != notes.end());
  const std::map<std::string, std::string> fields(note->fields.begin(), note->fields.end());
  CHECK(fields.at("instance") == "a");
  CHECK(fields.at("name") == "projects/default/apps/web/instances/a");
  CHECK(fields.at("app") == "projects/default/apps/web");
}

TEST_CASE("instance: a process is started only after its attempt is durable") {
  World world;
  world.commits = false;
  world.Assign(RunAssignment("a"));
  CHECK(world.Seen<StartProcess>().empty());
  CHECK(world.core->figures().held_effects == 1);
  world.CommitAll();
  CHECK(world.Seen<StartProcess>().size() == 1);
}

TEST_CASE("instance: STOP ends the process with the spec's signal and grace, and keeps it ended") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_stop()->set_signal("SIGINT");
  assignment.mutable_spec()->mutable_stop()->mutable_grace_period()->set_seconds(7);
  world.Assign(assignment);
  world.Assign(With(assignment, api::DESIRED_STATE_STOP, 2));
  REQUIRE(world.Seen<StopProcess>().size() == 1);
  CHECK(world.Seen<StopProcess>()[0].signal == 2);
  CHECK(world.Seen<StopProcess>()[0].grace == absl::Seconds(7));
  world.Advance(absl::Minutes(10));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_EXITED);
  CHECK(world.StatusOf("a").exit().signal() == 2);
  CHECK(world.started == 1);
}

TEST_CASE("instance: RUN after STOP starts it again, and that is no restart") {
  World world;
  world.Assign(RunAssignment("a"));
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_STOP, 2));
  world.Assign(RunAssignment("a", 3));
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_RUNNING);
  CHECK(world.StatusOf("a").attempt() == 2);
  CHECK(world.StatusOf("a").restarts() == 0);
}

TEST_CASE("instance: RUN that overtakes a stop starts it again once it has ended") {
  World world;
  world.stops = false;
  world.Assign(RunAssignment("a"));
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_STOP, 2));
  world.Assign(RunAssignment("a", 3));
  CHECK(world.state("a") == api::INSTANCE_STATE_STOPPING);
  CHECK(world.started == 1);
  world.Exit("a", 0);
  CHECK(world.state("a") == api::INSTANCE_STATE_RUNNING);
  CHECK(world.started == 2);
}

TEST_CASE("instance: a changed restart nonce stops and starts it once") {
  World world;
  world.Assign(RunAssignment("a"));
  api::Assignment again = RunAssignment("a", 2);
  again.set_restart_nonce(5);
  world.Assign(again);
  world.Advance(absl::Seconds(2));
  CHECK(world.started == 2);
  CHECK(world.StatusOf("a").restart_nonce() == 5);
  CHECK(world.StatusOf("a").restarts() == 0);
  CHECK(world.StatusOf("a").ready());
}

TEST_CASE("instance: the old nonce is reported until the new process runs") {
  World world;
  world.stops = false;
  world.Assign(RunAssignment("a"));
  api::Assignment again = RunAssignment("a", 2);
  again.set_restart_nonce(5);
  world.Assign(again);
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_STOPPING);
  CHECK(world.StatusOf("a").restart_nonce() == 0);
}

TEST_CASE("instance: a changed spec of the same uid runs the new command") {
  World world;
  world.Assign(RunAssignment("a"));
  api::Assignment newer = RunAssignment("a", 2);
  newer.mutable_spec()->mutable_runtime()->mutable_process()->add_command("--verbose");
  world.Assign(newer);
  CHECK(world.started == 2);
  CHECK(world.RunningOf("a").request.command.back() == "--verbose");
}

TEST_CASE("instance: a crash is followed by a restart after the backoff, with what it last wrote") {
  World world;
  world.Assign(RunAssignment("a"));
  world.Exit("a", 3);
  world.Advance(absl::Milliseconds(200));
  const api::InstanceStatus status = world.StatusOf("a");
  CHECK(status.state() == api::INSTANCE_STATE_STARTING);
  CHECK(status.has_next_attempt_time());
  CHECK(status.exit().code() == 3);
  CHECK(status.message().find("exited with code 3; next try at ") == 0);
  REQUIRE(status.log_tail_size() == 1);
  CHECK(status.log_tail(0) == "last words");
  CHECK(world.started == 1);
  world.Advance(absl::Seconds(2));
  CHECK(world.started == 2);
  CHECK(world.StatusOf("a").restarts() == 1);
  CHECK(world.StatusOf("a").attempt() == 2);
}

TEST_CASE("instance: a crash goes on without the entry") {
  World world;
  world.Assign(RunAssignment("a"));
  world.Disconnect();
  world.Exit("a", 1);
  world.Advance(absl::Seconds(5));
  CHECK(world.started == 2);
}

TEST_CASE("instance: many exits in short time are a crash loop that says when it tries again") {
  World world;
  world.Assign(RunAssignment("a"));
  for (int i = 0; i < 5; ++i) {
    world.Exit("a", 1);
    if (i < 4) world.Advance(absl::Seconds(30));
    REQUIRE(world.Runs("a") == (i < 4));
  }
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").message().find("crash loop: 5 exits in 5m") == 0);
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_STARTING);
  world.Advance(absl::Minutes(3));
  CHECK_FALSE(world.Runs("a"));
  world.Advance(absl::Minutes(4));
  CHECK(world.Runs("a"));
}

TEST_CASE("instance: a restart that somebody asked for ends the waiting") {
  World world;
  world.Assign(RunAssignment("a"));
  for (int i = 0; i < 5; ++i) {
    world.Exit("a", 1);
    if (i < 4) world.Advance(absl::Seconds(30));
  }
  api::Assignment again = RunAssignment("a", 2);
  again.set_restart_nonce(1);
  world.Assign(again);
  CHECK(world.Runs("a"));
  CHECK(world.StatusOf("a").restarts() == 4);
}

TEST_CASE("instance: policy NEVER ends EXITED or FAILED by the exit code") {
  const int code = GENERATE(0, 4);
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_restart()->set_policy(api::RESTART_POLICY_NEVER);
  world.Assign(assignment);
  world.Exit("a", code);
  world.Advance(absl::Hours(1));
  CHECK(world.started == 1);
  CHECK(world.StatusOf("a").state() ==
        (code == 0 ? api::INSTANCE_STATE_EXITED : api::INSTANCE_STATE_FAILED));
}

TEST_CASE("instance: a command that cannot be started is tried again and says why") {
  World world;
  world.start_error = "command 'serve' was not found";
  world.Assign(RunAssignment("a"));
  world.Advance(absl::Milliseconds(200));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_STARTING);
  CHECK(world.StatusOf("a").message().find(
            "could not be started: command 'serve' was not found; next try at ") == 0);
  CHECK(world.StatusOf("a").start_failure_time().seconds() == 1'800'000'000);
  CHECK_FALSE(world.StatusOf("a").has_exit());
  world.start_error.clear();
  world.Advance(absl::Seconds(3));
  CHECK(world.Runs("a"));
  CHECK_FALSE(world.StatusOf("a").has_start_failure_time());
}

TEST_CASE("instance: many starts that fail are a crash loop in words of their own") {
  World world;
  world.Assign(RunAssignment("a"));
  world.Exit("a", 1);
  world.start_error = "command 'serve' was not found";
  world.Advance(absl::Seconds(30));
  const api::InstanceStatus status = world.StatusOf("a");
  CHECK(status.message().find("crash loop: 5 failed attempts in 5m, the last could not be started: "
                              "command 'serve' was not found; next try at ") == 0);
  CHECK(status.log_tail().empty());  // Those were the last words of another attempt.
  world.start_error.clear();
  world.Advance(absl::Minutes(7));
  world.Exit("a", 1);
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").message().find(
            "crash loop: the last attempt exited with code 1; next try at ") == 0);
}

TEST_CASE(
    "instance: REMOVE stops, removes the folder, keeps the data, and is forgotten when told") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_data()->set_kind(api::DATA_KIND_NODE);
  world.Assign(assignment);
  world.acks = false;
  world.Assign(With(assignment, api::DESIRED_STATE_REMOVE, 2));
  REQUIRE(world.Seen<RemoveFolders>().size() == 1);
  CHECK(world.Seen<RemoveFolders>()[0].paths == std::vector<std::string>{"/state/instances/a"});
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_REMOVED);
  CHECK(world.durable.instances.contains("a"));
  world.Disconnect();
  world.acks = true;
  world.Connect();
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_REMOVED);
  CHECK_FALSE(world.durable.instances.contains("a"));
  CHECK(world.core->figures().instances == 0);
}

TEST_CASE("instance: REMOVE with purge_data takes the data too") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_data()->set_kind(api::DATA_KIND_NODE);
  world.Assign(assignment);
  CHECK(world.RunningOf("a").request.folders.size() == 3);
  api::Assignment remove = With(assignment, api::DESIRED_STATE_REMOVE, 2);
  remove.set_purge_data(true);
  world.Assign(remove);
  REQUIRE(world.Seen<RemoveFolders>().size() == 1);
  CHECK(world.Seen<RemoveFolders>()[0].paths ==
        std::vector<std::string>{"/state/instances/a", "/state/data/app1/eu-0"});
}

TEST_CASE("instance: REMOVE of something unknown is answered REMOVED") {
  World world;
  world.Assign(With(RunAssignment("ghost"), api::DESIRED_STATE_REMOVE, 4));
  world.Advance(absl::Seconds(1));
  CHECK(world.StatusOf("ghost").state() == api::INSTANCE_STATE_REMOVED);
}

TEST_CASE("instance: folders that cannot be removed are tried again") {
  World world;
  world.removes = false;
  world.Assign(RunAssignment("a"));
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_REMOVE, 2));
  world.Handle(FoldersRemoved{world.Seen<RemoveFolders>().back().token,
                              absl::PermissionDeniedError("rmdir: not permitted")});
  world.Advance(absl::Milliseconds(500));
  CHECK(world.StatusOf("a").message().find("rmdir: not permitted") != std::string::npos);
  world.removes = true;
  world.Advance(absl::Seconds(3));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_REMOVED);
}

TEST_CASE("instance: ports are picked from the range, given to the app and kept for the slot") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->add_ports()->set_name("http");
  world.Assign(assignment);
  world.Advance(absl::Seconds(1));
  REQUIRE(world.StatusOf("a").endpoints_size() == 1);
  const std::string address = world.StatusOf("a").endpoints(0).address();
  CHECK(address.find("10.0.0.5:2") == 0);
  world.Assign(With(assignment, api::DESIRED_STATE_REMOVE, 2));
  world.KillAgent();
  world.Boot();
  world.ConnectDriver();
  world.Connect();
  assignment.set_uid("b");
  world.Assign(assignment);
  world.Advance(absl::Seconds(1));
  REQUIRE(world.StatusOf("b").endpoints_size() == 1);
  CHECK(world.StatusOf("b").endpoints(0).address() == address);
}

TEST_CASE("instance: a fresh port that turns out to be in use is replaced by another") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->add_ports()->set_name("http");
  for (int32_t port = 20000; port < 30000; port += 2) world.busy.insert(port);
  world.Assign(assignment);
  CHECK(world.Runs("a"));
}

TEST_CASE("instance: a fixed port in use by another program is said so and tried again") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->add_ports()->set_number(8080);
  world.busy.insert(8080);
  world.Assign(assignment);
  world.Advance(absl::Milliseconds(500));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_PREPARING);
  CHECK(world.StatusOf("a").message().find("port 8080 is in use by another program") == 0);
  world.busy.clear();
  world.Advance(absl::Seconds(5));
  CHECK(world.Runs("a"));
}

TEST_CASE("instance: a fixed port of another instance is waited for, and taken when it is free") {
  World world;
  api::Assignment first = RunAssignment("a");
  first.mutable_spec()->add_ports()->set_number(8080);
  api::Assignment second = RunAssignment("b");
  *second.mutable_spec() = first.spec();
  world.Assign({first, second});
  world.Advance(absl::Milliseconds(100));
  CHECK_FALSE(world.Runs("b"));
  CHECK(world.StatusOf("b").message().find("port 8080 is in use by instance a") == 0);
  world.Assign(With(first, api::DESIRED_STATE_STOP, 2));
  CHECK(world.Runs("b"));
}

TEST_CASE("instance: two instances of one slot never use the data folder together") {
  World world;
  api::Assignment first = RunAssignment("a");
  first.mutable_spec()->mutable_data()->set_kind(api::DATA_KIND_NODE);
  api::Assignment second = RunAssignment("b");
  *second.mutable_spec() = first.spec();
  world.Assign({first, second});
  CHECK(world.Runs("a"));
  CHECK_FALSE(world.Runs("b"));
  world.Assign(With(first, api::DESIRED_STATE_REMOVE, 2));
  CHECK(world.Runs("b"));
}

TEST_CASE("instance: an artifact that cannot be had is a condition, and tried again") {
  World world;
  world.fetches = false;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_artifact()->set_uri("https://files.example/a.tgz");
  world.Assign(assignment);
  CHECK(world.state("a") == api::INSTANCE_STATE_PREPARING);
  REQUIRE(world.Seen<PrepareArtifact>().size() == 1);
  world.Handle(ArtifactPrepared{world.Seen<PrepareArtifact>()[0].token,
                                absl::UnavailableError("https://files.example/a.tgz: HTTP 404"), "",
                                ""});
  world.Advance(absl::Milliseconds(200));
  const api::InstanceStatus status = world.StatusOf("a");
  CHECK(status.state() == api::INSTANCE_STATE_PREPARING);
  REQUIRE(status.conditions_size() == 1);
  CHECK(status.conditions(0).type() == "ArtifactReady");
  CHECK(status.conditions(0).status() == api::CONDITION_STATUS_FALSE);
  CHECK(status.conditions(0).message() == "https://files.example/a.tgz: HTTP 404");
  world.fetches = true;
  world.Advance(absl::Seconds(3));
  CHECK(world.RunningOf("a").request.working_dir == "/cache/abc");
  CHECK(world.StatusOf("a").artifact_sha256() == "abc");
  CHECK(world.core->InUse().artifact_folders.contains("/cache/abc"));
}

TEST_CASE("instance: an artifact that would be the same at each try is tried again seldom") {
  World world;
  world.fetches = false;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_artifact()->set_uri("https://files.example/a.tgz");
  world.Assign(assignment);
  ArtifactPrepared absent{world.Seen<PrepareArtifact>()[0].token,
                          absl::NotFoundError("fetch a.tgz: HTTP status 404"), "", ""};
  absent.lasting = true;
  world.Handle(absent);
  world.Advance(absl::Minutes(3));
  CHECK(world.Seen<PrepareArtifact>().size() == 1);
  const api::InstanceStatus status = world.StatusOf("a");
  CHECK(status.state() == api::INSTANCE_STATE_PREPARING);
  CHECK(status.message().find("fetch a.tgz: HTTP status 404; next try at ") == 0);
  CHECK(status.has_start_failure_time());
  REQUIRE(status.conditions_size() == 1);
  CHECK(status.conditions(0).reason() == "ArtifactUnusable");
  SECTION("until then") {
    world.fetches = true;
    world.Advance(absl::Minutes(4));
  }
  SECTION("unless somebody asks for it") {
    world.Assign(With(assignment, api::DESIRED_STATE_RUN, 2));
    CHECK(world.Seen<PrepareArtifact>().size() == 1);
    assignment.set_restart_nonce(1);
    world.Assign(With(assignment, api::DESIRED_STATE_RUN, 3));
    world.Advance(absl::Seconds(1));
    CHECK(world.StatusOf("a").conditions(0).reason() == "Fetching");
    world.Handle(ArtifactPrepared{world.Seen<PrepareArtifact>()[1].token, {}, "/cache/abc", "abc"});
  }
  CHECK(world.Runs("a"));
}

TEST_CASE("instance: a late answer to an older preparation is ignored") {
  World world;
  world.fetches = false;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_artifact()->set_uri("https://files.example/a.tgz");
  world.Assign(assignment);
  api::Assignment newer = RunAssignment("a", 2);
  newer.mutable_spec()->mutable_artifact()->set_uri("https://files.example/b.tgz");
  world.Assign(newer);
  REQUIRE(world.Seen<PrepareArtifact>().size() == 2);
  CHECK(world.Seen<CancelArtifact>().size() == 1);
  world.Handle(ArtifactPrepared{world.Seen<PrepareArtifact>()[0].token, {}, "/cache/old", "old"});
  CHECK_FALSE(world.Runs("a"));
  world.Handle(ArtifactPrepared{world.Seen<PrepareArtifact>()[1].token, {}, "/cache/new", "new"});
  CHECK(world.RunningOf("a").request.working_dir == "/cache/new");
}

TEST_CASE("instance: with a readiness check it is ready when the check passes") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_checks()->mutable_readiness()->mutable_tcp()->set_port("http");
  world.Assign(assignment);
  world.Advance(absl::Milliseconds(200));
  CHECK(world.StatusOf("a").state() == api::INSTANCE_STATE_RUNNING);
  CHECK_FALSE(world.StatusOf("a").ready());
  REQUIRE(world.Seen<StartCheck>().size() == 1);
  world.Handle(ReadinessChanged{"a", 1, true, ""});
  world.Advance(absl::Milliseconds(200));
  CHECK(world.StatusOf("a").ready());
  world.Handle(ReadinessChanged{"a", 1, false, "tcp 127.0.0.1:1: connection refused"});
  world.Advance(absl::Milliseconds(200));
  CHECK_FALSE(world.StatusOf("a").ready());
  CHECK(world.StatusOf("a").message() == "tcp 127.0.0.1:1: connection refused");
  world.Exit("a", 1);
  CHECK(world.Seen<StopCheck>().size() == 1);
  world.Handle(ReadinessChanged{"a", 1, true, ""});
  world.Advance(absl::Milliseconds(200));
  CHECK_FALSE(world.StatusOf("a").ready());
}

TEST_CASE("instance: limits that the node does not enforce are a condition") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_resources()->mutable_pids()->set_limit(10);
  world.Assign(assignment);
  world.Advance(absl::Milliseconds(200));
  REQUIRE(world.StatusOf("a").conditions_size() == 1);
  CHECK(world.StatusOf("a").conditions(0).type() == "LimitsEnforced");
  CHECK(world.StatusOf("a").conditions(0).status() == api::CONDITION_STATUS_FALSE);
}

TEST_CASE("instance: while the keeper is away nothing is started, and then at once") {
  World world;
  world.DisconnectDriver();
  world.Assign(RunAssignment("a"));
  world.Advance(absl::Minutes(1));
  CHECK(world.StatusOf("a").message().find("keeper cannot be reached") != std::string::npos);
  CHECK(world.started == 0);
  world.ConnectDriver();
  CHECK(world.Runs("a"));
}

}  // namespace
}  // namespace appsup::agent
