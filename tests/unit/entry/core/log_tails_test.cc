#include <catch2/catch.hpp>

#include "common/status.h"
#include "google/rpc/status.pb.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

namespace appsup::entry {
namespace {

// An app "web" on a node whose logs the test plays.
struct World {
  explicit World(int replicas = 1) {
    entry.AddEnvironment("eu");
    entry.AddNode("n1", "eu");
    agent = std::make_unique<PlayedAgent>(entry, "n1");
    api::CreateAppRequest create = NewApp("web");
    create.mutable_app()->mutable_spec()->set_replicas(replicas);
    REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", create).ok());
    agent->Run();
    agent->commands.clear();
  }

  CallId Tail(bool follow, int lines = 0) {
    api::TailLogsRequest request;
    request.set_name("projects/default/apps/web");
    request.set_follow(follow);
    request.set_lines(lines);
    request.set_stream(api::LOG_STREAM_STDOUT);
    const CallId call = entry.Send("AppService/TailLogs", request);
    agent->Run();
    return call;
  }

  api::Command TakeCommand() {
    agent->Run();
    REQUIRE_FALSE(agent->commands.empty());
    api::Command command = agent->commands.front();
    agent->commands.erase(agent->commands.begin());
    return command;
  }

  // Answers a command with this text from attempt 1 at `offset`.
  void Answer(const api::Command& command, const std::string& text, int64_t offset, bool at_end) {
    api::ConnectRequest piece;
    api::LogChunk& chunk = *piece.mutable_log_chunk();
    chunk.set_command_id(command.id());
    chunk.set_attempt(1);
    chunk.set_stream(command.read_log().stream());
    chunk.set_offset(offset);
    chunk.set_data(text);
    chunk.set_next_attempt(1);
    chunk.set_next_offset(offset + static_cast<int64_t>(text.size()));
    chunk.set_at_end(at_end);
    agent->Say(piece);
    End(command, {});
  }

  void End(const api::Command& command, const google::rpc::Status& status) {
    api::ConnectRequest end;
    end.mutable_command_result()->set_id(command.id());
    *end.mutable_command_result()->mutable_status() = status;
    agent->Say(end);
    agent->Run();
  }

  std::string Text(CallId call) {
    std::string text;
    for (const auto& message : entry.Stream(call).messages) {
      const auto& piece = static_cast<const api::TailLogsResponse&>(*message);
      text += piece.notice().empty() ? piece.data() : "[" + piece.notice() + "]";
    }
    entry.Stream(call).messages.clear();
    return text;
  }

  CoreHarness entry;
  std::unique_ptr<PlayedAgent> agent;
};

TEST_CASE("logs: the last lines are read piece by piece, then the call ends") {
  World world;
  const CallId call = world.Tail(false, 20);
  api::Command first = world.TakeCommand();
  CHECK(first.read_log().lines() == 20);
  CHECK(first.read_log().wait().seconds() == 0);
  world.Answer(first, "one\n", 100, false);
  CHECK(world.Text(call) == "one\n");
  api::Command second = world.TakeCommand();
  CHECK(second.read_log().lines() == 0);
  CHECK(second.read_log().attempt() == 1);
  CHECK(second.read_log().offset() == 104);
  world.Answer(second, "two\n", 104, true);
  CHECK(world.Text(call) == "two\n");
  REQUIRE(world.entry.Stream(call).end.has_value());
  CHECK(world.entry.Stream(call).end->ok());
  CHECK(world.agent->commands.empty());
}

TEST_CASE("logs: following waits for more and goes on at the same place after a lost session") {
  World world;
  const CallId call = world.Tail(true);
  world.Answer(world.TakeCommand(), "one\n", 0, true);
  CHECK(world.Text(call) == "one\n");
  api::Command poll = world.TakeCommand();
  CHECK(poll.read_log().offset() == 4);
  CHECK(poll.read_log().wait().seconds() > 0);
  world.agent->Disconnect();
  world.entry.Advance(absl::Seconds(2));
  CHECK(world.Text(call).find("node n1 does not answer") != std::string::npos);
  world.agent->Connect();
  world.entry.Advance(absl::Seconds(2));
  api::Command resumed = world.TakeCommand();
  CHECK(resumed.read_log().offset() == 4);
  world.Answer(resumed, "two\n", 4, true);
  CHECK(world.Text(call) == "two\n");
  CHECK_FALSE(world.entry.Stream(call).end.has_value());
}

TEST_CASE("logs: a slow reader keeps the agent from being read on") {
  World world;
  world.entry.HoldStreams(true);
  const CallId call = world.Tail(true);
  world.Answer(world.TakeCommand(), "one\n", 0, false);
  world.Answer(world.TakeCommand(), "two\n", 4, false);
  world.agent->Run();
  CHECK(world.agent->commands.empty());  // "two" still waits to be sent.
  CHECK(world.Text(call) == "one\n");
  world.entry.StreamWritten(call);
  CHECK(world.Text(call) == "two\n");
  CHECK(world.TakeCommand().read_log().offset() == 8);
}

TEST_CASE("logs: new instances of a followed app are read from their start") {
  World world;
  const CallId call = world.Tail(true);
  world.Answer(world.TakeCommand(), "", 0, true);
  world.TakeCommand();
  api::ScaleAppRequest scale;
  scale.set_name("projects/default/apps/web");
  scale.set_replicas(2);
  REQUIRE(world.entry.Call<api::Operation>("AppService/ScaleApp", scale).ok());
  api::Command command = world.TakeCommand();
  CHECK(command.read_log().since().seconds() == 1);
  world.Answer(command, "hello\n", 0, true);
  CHECK(world.Text(call) == "hello\n");
}

TEST_CASE("logs: a cancelled call cancels its command") {
  World world;
  const CallId call = world.Tail(true);
  const api::Command command = world.TakeCommand();
  world.entry.Cancel(call);
  world.agent->Run();
  CHECK(world.agent->cancelled == std::vector<int64_t>{command.id()});
  world.Answer(command, "late\n", 0, true);
  CHECK(world.Text(call).empty());
}

TEST_CASE("logs: without follow an unreachable node is said and left out") {
  World world;
  world.agent->Disconnect();
  const CallId call = world.Tail(false);
  CHECK(world.Text(call).find("does not answer") != std::string::npos);
  CHECK(world.entry.Stream(call).end.has_value());
}

TEST_CASE("logs: an instance without a log yet is asked again only while following") {
  World world;
  google::rpc::Status none;
  none.set_code(static_cast<int>(absl::StatusCode::kNotFound));
  const CallId once = world.Tail(false);
  world.End(world.TakeCommand(), none);
  CHECK(world.entry.Stream(once).end.has_value());
  const CallId follow = world.Tail(true);
  world.End(world.TakeCommand(), none);
  CHECK(world.agent->commands.empty());
  world.entry.Advance(absl::Seconds(2));
  world.Answer(world.TakeCommand(), "up\n", 0, true);
  CHECK(world.Text(follow) == "up\n");
}

TEST_CASE("logs: requests for nothing are refused") {
  CoreHarness entry;
  api::TailLogsRequest request;
  request.set_name("projects/default/apps/nope");
  CallId call = entry.Send("AppService/TailLogs", request);
  CHECK(absl::IsNotFound(*entry.Stream(call).end));
  request.set_name("nodes/n1");
  request.set_lines(20'000);
  call = entry.Send("AppService/TailLogs", request);
  CHECK(FieldsOf(*entry.Stream(call).end) == std::vector<std::string>{"lines", "name"});
}

}  // namespace
}  // namespace appsup::entry
