#include "entry/core/agent_session.h"

#include <catch2/catch.hpp>

#include "tests/support/link_stage.h"

namespace appsup::entry {
namespace {

using Stage = LinkStage;

TEST_CASE("command: is sent, answered and forgotten") {
  Stage stage;
  std::vector<std::string> heard;
  api::Command command;
  command.mutable_read_log()->set_instance_uid("u1");
  auto id = stage.sessions->SendCommand(
      "nodes/n1", command, [&](const api::LogChunk* chunk, const absl::Status& status) {
        heard.push_back(chunk != nullptr ? chunk->data() : status.ToString());
      });
  REQUIRE(id.ok());
  stage.Run();
  CHECK(stage.agent("n1").received.back().command().id() == *id);
  api::ConnectRequest chunk;
  chunk.mutable_log_chunk()->set_command_id(*id);
  chunk.mutable_log_chunk()->set_data("hello");
  stage.Send(chunk);
  api::ConnectRequest result;
  result.mutable_command_result()->set_id(*id);
  stage.Send(result);
  stage.Send(result);
  CHECK(heard == std::vector<std::string>{"hello", "OK"});
}

TEST_CASE("command: fails without a node, with too many, and when the session ends") {
  Stage stage;
  int failed = 0;
  auto on_result = [&](const api::LogChunk*, const absl::Status& status) {
    failed += status.code() == absl::StatusCode::kUnavailable;
  };
  CHECK(stage.sessions->SendCommand("nodes/n9", {}, on_result).status().code() ==
        absl::StatusCode::kUnavailable);
  for (int i = 0; i < 64; ++i) {
    CHECK(stage.sessions->SendCommand("nodes/n1", {}, on_result).ok());
  }
  CHECK(stage.sessions->SendCommand("nodes/n1", {}, on_result).status().code() ==
        absl::StatusCode::kResourceExhausted);
  stage.Disconnect("n1");
  CHECK(failed == 64);
}

TEST_CASE("command: cancelling one that was sent tells the agent") {
  Stage stage;
  int heard = 0;
  auto on_result = [&](const api::LogChunk*, const absl::Status&) { ++heard; };
  const int64_t unsent = *stage.sessions->SendCommand("nodes/n1", {}, on_result);
  stage.sessions->CancelCommand("nodes/n1", unsent);
  const int64_t sent = *stage.sessions->SendCommand("nodes/n1", {}, on_result);
  stage.Run();
  stage.sessions->CancelCommand("nodes/n1", sent);
  stage.Run();
  const auto& received = stage.agent("n1").received;
  CHECK(received[received.size() - 2].command().id() == sent);
  CHECK(received.back().cancel_command().id() == sent);
  stage.Disconnect("n1");
  CHECK(heard == 0);
}

}  // namespace
}  // namespace appsup::entry
