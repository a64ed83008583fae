#include <algorithm>
#include <catch2/catch.hpp>

#include "absl/strings/str_cat.h"
#include "agent/core/link_session.h"
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
  int CountApplied() const {
    return static_cast<int>(std::count_if(received.begin(), received.end(), [](const auto& it) {
      return it.has_assignments_applied();
    }));
  }
  void SayAssignments(api::AssignmentsType type, int64_t base, int64_t version, bool begin,
                      bool end, std::vector<api::Assignment> assignments) {
    api::ConnectResponse message;
    api::Assignments& set = *message.mutable_assignments();
    set.set_type(type);
    set.set_base(base);
    set.set_version(version);
    set.set_begin(begin);
    set.set_end(end);
    for (auto& it : assignments) *set.add_assignments() = it;
    Say(std::move(message));
  }
};

constexpr auto kIncremental = api::ASSIGNMENTS_TYPE_INCREMENTAL;
constexpr auto kComplete = api::ASSIGNMENTS_TYPE_COMPLETE;

TEST_CASE("link: Hello comes first, then nothing before Welcome but heartbeats after it") {
  AgentWorld world;
  world.Boot();
  world.ConnectDriver();
  world.LinkUpOnly();
  world.Advance(absl::Seconds(9));
  REQUIRE(world.received.size() == 1);
  const api::Hello& hello = world.received[0].hello();
  CHECK(hello.machine_id() == "m1");
  CHECK(hello.boot_id() == "boot1");
  CHECK(hello.address() == "10.0.0.5");
  REQUIRE(hello.drivers_size() == 1);
  CHECK(hello.drivers(0).name() == "process");
  world.Welcome();
  CHECK(world.received[1].heartbeat().number() == 1);
}

TEST_CASE("link: Hello waits for the driver, but not for ever") {
  AgentWorld world;
  world.Boot();
  world.LinkUpOnly();
  CHECK(world.received.empty());
  world.Advance(absl::Seconds(4));
  CHECK(world.received.size() == 1);
}

TEST_CASE("link: heartbeats are numbered and come at the Welcome's period") {
  World world;
  world.received.clear();
  world.Advance(absl::Seconds(30));
  REQUIRE(world.received.size() == 10);
  CHECK(world.received[9].heartbeat().number() == 11);
}

TEST_CASE(
    "link: the secret of the last session is presented in the next Hello, after a crash too") {
  World world;
  world.KillAgent();
  world.Boot();
  world.ConnectDriver();
  world.received.clear();
  world.LinkUpOnly();
  CHECK(world.received[0].hello().last_session_secret() == "secret1");
}

TEST_CASE("link: assignments are answered after they are durable") {
  World world;
  world.commits = false;
  world.Assign(RunAssignment("a"));
  CHECK(world.CountApplied() == 0);
  world.CommitAll();
  REQUIRE(world.CountApplied() == 1);
  CHECK(world.LastApplied().version() == 1);
}

TEST_CASE("link: a gap is answered once with resync, and nothing of it is acted on") {
  World world;
  world.SayAssignments(kIncremental, 3, 4, false, false, {RunAssignment("a")});
  world.SayAssignments(kIncremental, 4, 5, false, false, {RunAssignment("b")});
  CHECK(world.CountApplied() == 1);
  CHECK(world.LastApplied().resync());
  CHECK(world.LastApplied().version() == 0);
  CHECK(world.core->figures().instances == 0);
  world.SayAssignments(kComplete, 0, 6, true, true, {RunAssignment("a")});
  CHECK(world.LastApplied().version() == 6);
  CHECK_FALSE(world.LastApplied().resync());
  CHECK(world.Runs("a"));
  world.SayAssignments(kIncremental, 6, 7, false, false, {RunAssignment("b")});
  CHECK(world.Runs("b"));
}

TEST_CASE("link: a repeated increment is a gap") {
  World world;
  world.SayAssignments(kIncremental, 0, 1, false, false, {RunAssignment("a")});
  world.SayAssignments(kIncremental, 0, 1, false, false, {RunAssignment("a")});
  CHECK(world.LastApplied().resync());
  CHECK(world.started == 1);
}

TEST_CASE("link: nothing of a COMPLETE set is acted on before its end") {
  World world;
  world.SayAssignments(kComplete, 0, 5, true, false, {RunAssignment("a")});
  world.SayAssignments(kComplete, 0, 5, false, false, {RunAssignment("b")});
  CHECK(world.core->figures().instances == 0);
  CHECK(world.CountApplied() == 0);
  SECTION("the end comes") {
    world.SayAssignments(kComplete, 0, 5, false, true, {RunAssignment("c")});
    CHECK(world.core->figures().running == 3);
    CHECK(world.LastApplied().version() == 5);
  }
  SECTION("the link breaks") {
    world.Disconnect();
    world.Connect();
    world.SayAssignments(kComplete, 0, 5, false, true, {RunAssignment("c")});
    CHECK(world.core->figures().instances == 0);
    CHECK(world.LastApplied().resync());
  }
  SECTION("an increment comes between") {
    world.SayAssignments(kIncremental, 0, 1, false, false, {RunAssignment("d")});
    CHECK(world.core->figures().instances == 0);
    CHECK(world.LastApplied().resync());
  }
  SECTION("a new begin drops the parts before it") {
    world.SayAssignments(kComplete, 0, 9, true, true, {RunAssignment("z")});
    CHECK(world.core->figures().instances == 1);
  }
}

TEST_CASE("link: absence in a COMPLETE set removes nothing") {
  World world;
  world.Assign(RunAssignment("a"));
  world.SayAssignments(kComplete, 0, 9, true, true, {});
  world.Advance(absl::Minutes(5));
  CHECK(world.Runs("a"));
}

TEST_CASE("link: a lower generation than held is ignored, the same one does nothing") {
  World world;
  world.Assign(RunAssignment("a", 5));
  world.Assign(With(RunAssignment("a"), api::DESIRED_STATE_STOP, 4));
  world.Assign(RunAssignment("a", 5));
  CHECK(world.Runs("a"));
  CHECK(world.started == 1);
  CHECK(world.LastApplied().refused_size() == 0);
}

TEST_CASE("link: what cannot be carried out is refused by a sentence, and the rest is applied") {
  World world;
  api::Assignment bad = RunAssignment("bad");
  bad.mutable_spec()->mutable_runtime()->mutable_process()->clear_command();
  world.Assign({RunAssignment("a"), bad});
  CHECK(world.Runs("a"));
  REQUIRE(world.LastApplied().refused_size() == 1);
  CHECK(world.LastApplied().refused(0).uid() == "bad");
  CHECK(world.LastApplied().refused(0).generation() == 1);
  CHECK(world.LastApplied().refused(0).message() == "spec.runtime.process.command is empty");
}

TEST_CASE("link: a refused change leaves what runs as it is") {
  World world;
  world.Assign(RunAssignment("a"));
  api::Assignment bad = RunAssignment("a", 2);
  bad.mutable_spec()->mutable_stop()->set_signal("SIGNOPE");
  world.Assign(bad);
  CHECK(world.LastApplied().refused_size() == 1);
  CHECK(world.Runs("a"));
  CHECK(world.started == 1);
  CHECK(world.StatusOf("a").generation() == 1);
}

TEST_CASE("link: uids that are no plain names never become folders") {
  const std::string uid = GENERATE(as<std::string>(), "", "..", "a/b", "../../etc", "a b");
  World world;
  world.Assign(RunAssignment(uid));
  CHECK(world.LastApplied().refused_size() == 1);
  CHECK(world.core->figures().instances == 0);
}

TEST_CASE("link: statuses of one instance are coalesced") {
  World world;
  api::Assignment assignment = RunAssignment("a");
  assignment.mutable_spec()->mutable_checks()->mutable_readiness()->mutable_tcp()->set_port("1");
  world.Assign(assignment);
  world.Advance(absl::Milliseconds(150));
  world.statuses.clear();
  for (int i = 0; i < 51; ++i) world.Handle(ReadinessChanged{"a", 1, i % 2 == 0, ""});
  CHECK(world.statuses.size() <= 1);
  world.Advance(absl::Milliseconds(150));
  CHECK(world.statuses.size() <= 2);
  CHECK(world.StatusOf("a").ready());
}

TEST_CASE("link: only one message is under way, whatever happens") {
  World world;
  world.writable = false;
  world.received.clear();
  world.Assign(RunAssignment("a"));
  for (int i = 0; i < 4; ++i) world.Advance(absl::Seconds(2));
  CHECK(world.received.size() == 1);
  world.Handle(LinkWritable{world.connection});
  CHECK(world.received.size() == 2);
}

TEST_CASE("link: statuses are sent in parts, and all of them") {
  World small;
  small.options.max_message_bytes = 400;
  small.KillAgent();
  small.Boot();
  small.ConnectDriver();
  small.Connect();
  std::vector<api::Assignment> many;
  for (int i = 0; i < 30; ++i) many.push_back(RunAssignment(absl::StrCat("i", i)));
  small.Assign(many);
  small.Advance(absl::Seconds(10));
  for (int i = 0; i < 30; ++i) {
    CHECK(small.StatusOf(absl::StrCat("i", i)).state() == api::INSTANCE_STATE_RUNNING);
  }
  for (const auto& message : small.received) {
    if (message.has_status() && message.status().instances_size() > 1) {
      CHECK(message.status().ByteSizeLong() <= 400);
    }
  }
  small.received.clear();
  small.Disconnect();
  small.LinkUpOnly();
  REQUIRE(small.received.size() > 2);
  int held = 0;
  for (size_t i = 0; i < small.received.size(); ++i) {
    CHECK(small.received[i].hello().more() == (i + 1 < small.received.size()));
    held += small.received[i].hello().instances_size();
  }
  CHECK(held == 30);
}

TEST_CASE("link: unacknowledged statuses are sent again on the next session, others are not") {
  World world;
  world.Assign({RunAssignment("a")});
  world.Advance(absl::Seconds(1));
  world.acks = false;
  world.Assign({RunAssignment("b")});
  world.Advance(absl::Seconds(1));
  world.Disconnect();
  world.statuses.clear();
  world.acks = true;
  world.Connect();
  world.Advance(absl::Seconds(1));
  REQUIRE(world.statuses.size() == 1);
  CHECK(world.statuses[0].uid() == "b");
}

TEST_CASE("link: an entry of another timeline gets all statuses") {
  World world;
  world.Assign({RunAssignment("a"), RunAssignment("b")});
  world.Advance(absl::Seconds(1));
  world.Disconnect();
  world.statuses.clear();
  world.Connect("t2", 2);
  world.Advance(absl::Seconds(1));
  CHECK(world.statuses.size() == 2);
}

TEST_CASE("link: (attempt, sequence) never goes back, whatever breaks") {
  World world;
  world.Assign(RunAssignment("a"));
  for (int i = 0; i < 20; ++i) {
    world.Advance(absl::Seconds(1));
    if (world.Runs("a") && i % 3 == 0) world.Exit("a", 1);
    if (i % 5 == 0) {
      world.KillAgent();
      world.Boot();
      world.ConnectDriver();
      world.Connect();
    }
    if (i % 7 == 0) {
      world.Disconnect();
      world.Connect();
    }
  }
  std::pair<int64_t, int64_t> last;
  for (const api::InstanceStatus& status : world.statuses) {
    const std::pair now{status.attempt(), status.sequence()};
    CHECK(now >= last);
    last = now;
  }
  CHECK(last.first > 3);
}

TEST_CASE("link: a lower epoch of a known timeline is refused, also after a crash") {
  World world;
  world.Disconnect();
  world.Connect("t2", 2);
  if (GENERATE(false, true)) {
    world.KillAgent();
    world.Boot();
    world.ConnectDriver();
  } else {
    world.Disconnect();
  }
  world.Connect("t1", 1);
  CHECK_FALSE(world.core->figures().connected);
  REQUIRE(world.Seen<CloseLink>().size() == 1);
  CHECK(world.Seen<CloseLink>()[0].reason.find("has obeyed epoch 2") != std::string::npos);
}

TEST_CASE("link: a lower epoch of the newest timeline is refused") {
  World world;
  world.Disconnect();
  world.Connect("t2", 3);
  world.Disconnect();
  world.Connect("t2", 2);
  CHECK_FALSE(world.core->figures().connected);
  REQUIRE(world.Seen<CloseLink>().size() == 1);
  CHECK(world.Seen<CloseLink>()[0].reason.find("has obeyed epoch 3") != std::string::npos);
}

TEST_CASE("link: an assignment of a deposed leader is not obeyed") {
  World world;
  world.Disconnect();
  world.Connect("t2", 2);
  api::ConnectResponse message;
  message.mutable_assignments()->set_type(kIncremental);
  message.mutable_assignments()->set_version(1);
  *message.mutable_assignments()->add_assignments() = RunAssignment("a");
  world.Say(message, "t1", 1);
  CHECK(world.core->figures().instances == 0);
  CHECK(world.Seen<CloseLink>().size() == 1);
}

TEST_CASE("link: an entry that answers no heartbeat for a lease is left, once") {
  World world;
  world.Advance(absl::Seconds(60));
  CHECK(world.Seen<CloseLink>().empty());
  world.grants = false;
  world.Advance(absl::Seconds(12));
  CHECK(world.Seen<CloseLink>().empty());
  world.Advance(absl::Seconds(60));
  CHECK(world.Seen<CloseLink>().size() == 1);
  CHECK_FALSE(world.core->figures().connected);
}

TEST_CASE("link: an entry that takes no message, or never welcomes, is left") {
  World world;
  SECTION("takes no message") { world.writable = false; }
  SECTION("never welcomes") {
    world.Disconnect();
    world.LinkUpOnly();
  }
  world.Advance(absl::Seconds(60));
  CHECK(world.Seen<CloseLink>().size() == 1);
}

TEST_CASE("link: events of an older connection are ignored") {
  World world;
  const uint64_t old = world.connection;
  world.Disconnect();
  world.Connect();
  world.Handle(LinkDown{old, absl::UnavailableError("late")});
  CHECK(world.core->figures().connected);
  auto message = std::make_shared<api::ConnectResponse>();
  message->set_timeline("t9");
  world.Handle(LinkMessage{old, message});
  CHECK(world.core->figures().connected);
}

TEST_CASE("link: unknown messages are counted and ignored") {
  World world;
  world.Say(api::ConnectResponse{});
  CHECK(world.core->figures().ignored_messages == 1);
  CHECK(world.core->figures().connected);
}

TEST_CASE("link: a log is read by a chunk and a result") {
  World world;
  api::ConnectResponse message;
  message.mutable_command()->set_id(7);
  message.mutable_command()->mutable_read_log()->set_instance_uid("a");
  world.Say(message);
  REQUIRE(world.Seen<ReadLog>().size() == 1);
  world.received.clear();
  LogRead read{world.connection, 7, absl::OkStatus(), true, {}};
  read.chunk.set_data("hello");
  world.Handle(read);
  REQUIRE(world.received.size() == 2);
  CHECK(world.received[0].log_chunk().command_id() == 7);
  CHECK(world.received[0].log_chunk().data() == "hello");
  CHECK(world.received[1].command_result().id() == 7);
}

TEST_CASE("link: a cancelled command is not answered, and commands end with the session") {
  World world;
  api::ConnectResponse message;
  message.mutable_command()->set_id(7);
  message.mutable_command()->mutable_read_log()->set_instance_uid("a");
  world.Say(message);
  SECTION("cancelled") {
    api::ConnectResponse cancel;
    cancel.mutable_cancel_command()->set_id(7);
    world.Say(cancel);
  }
  SECTION("session ends") { world.Disconnect(); }
  CHECK(world.Seen<CancelRead>().size() == 1);
  world.received.clear();
  world.Handle(LogRead{1, 7, absl::OkStatus(), true, {}});
  CHECK(world.received.empty());
}

TEST_CASE("link: too many commands are answered, not kept") {
  World world;
  world.writable = false;
  for (int i = 0; i < 2000; ++i) {
    api::ConnectResponse message;
    message.mutable_command()->set_id(i);
    message.mutable_command()->mutable_read_log()->set_instance_uid("a");
    world.Say(message);
  }
  CHECK(world.Seen<ReadLog>().size() == LinkSession::kMaxCommands);
}

TEST_CASE(
    "link: while the journal cannot be written, assignments are refused and asked for later") {
  World world;
  world.Assign(RunAssignment("a"));
  world.commits = false;
  world.Handle(JournalStalled{"disk is full"});
  world.Assign({RunAssignment("b"), With(RunAssignment("a"), api::DESIRED_STATE_STOP, 2)});
  REQUIRE(world.LastApplied().refused_size() == 2);
  CHECK(world.LastApplied().refused(0).message() ==
        "this node cannot write its journal: disk is full");
  CHECK(world.Runs("a"));
  CHECK(world.core->figures().instances == 1);
  world.Handle(JournalCommitted{1});
  CHECK(world.LastApplied().resync());
  world.commits = true;
  world.SayAssignments(kComplete, 0, 5, true, true, {RunAssignment("b")});
  CHECK(world.Runs("b"));
}

}  // namespace
}  // namespace appsup::agent
