#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "agent/driver/keeper_messages.h"
#include "common/packet.h"
#include "common/unique_fd.h"
#include "tests/integration/keeper/keeper_fixture.h"
#include "tests/support/drive_loop.h"

namespace appsup::agent {
namespace {

UniqueFd Socket(const std::string& path, sockaddr_un* address) {
  address->sun_family = AF_UNIX;
  strncpy(address->sun_path, path.c_str(), sizeof(address->sun_path) - 1);
  return UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Answers every Hello like a keeper of another release.
class OtherKeeper {
 public:
  OtherKeeper(EventLoop& loop, const std::string& path) : loop_(loop) {
    sockaddr_un address = {};
    listener_ = Socket(path, &address);
    REQUIRE(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(listener_.get(), 8) == 0);
  }

  bool Until(const std::function<bool()>& condition) {
    return testing::DriveUntil(loop_, [&] {
      Serve();
      return condition();
    });
  }

  keeper_pb::Response answer;
  int greetings = 0;

 private:
  void Serve() {
    UniqueFd fresh(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fresh.valid()) connection_ = std::move(fresh);
    if (!connection_.valid()) return;
    auto packet = ReceivePacket(connection_.get());
    if (!packet.ok()) return connection_.Reset();
    keeper_pb::Request request;
    if (!packet->has_value() || !request.ParseFromString(**packet)) return;
    ++greetings;
    answer.set_id(request.id());
    CHECK(SendPacket(connection_.get(), answer.SerializeAsString()).ok());
  }

  EventLoop& loop_;
  UniqueFd listener_;
  UniqueFd connection_;
};

// What a driver says of a keeper that answers like this.
void IsRefused(const keeper_pb::Response& answer, const std::string& why) {
  testing::TempDir dir;
  SystemClock clock;
  auto loop = EventLoop::Create();
  REQUIRE(loop.ok());
  OtherKeeper keeper(**loop, dir.File("keeper.sock"));
  keeper.answer = answer;
  RecordingListener heard;
  ProcessDriver driver(**loop, clock, dir.File("keeper.sock"), "1.0.0");
  absl::Duration begin = clock.Now().boot;
  driver.Open(heard);
  CHECK(keeper.Until([&] { return heard.disconnects.size() >= 3; }));
  // 50, 100, 200 ms: it does not hammer at a keeper that it cannot work with.
  CHECK(clock.Now().boot - begin >= absl::Milliseconds(150));
  CHECK(heard.inventories.empty());
  CHECK(heard.disconnects.back().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(heard.disconnects.back().message()) == why);
}

TEST_CASE("driver: a keeper of another protocol is refused in a sentence") {
  keeper_pb::Response answer;
  answer.mutable_hello()->set_version("9.9.9");
  answer.mutable_hello()->set_protocol(2);
  IsRefused(answer,
            "keeper 9.9.9 speaks version 2 of the protocol between agent and keeper, agent 1.0.0 "
            "speaks 1 to 1: bring both to one release, the keeper first (docs/operations.md)");
  answer.mutable_hello()->set_protocol(0);
  IsRefused(answer,
            "keeper 9.9.9 speaks version 0 of the protocol between agent and keeper, agent 1.0.0 "
            "speaks 1 to 1: bring both to one release, the keeper first (docs/operations.md)");
}

TEST_CASE("driver: a keeper that refuses the agent's protocol is heard") {
  keeper_pb::Response answer;
  answer.mutable_error()->set_code(static_cast<int>(absl::StatusCode::kFailedPrecondition));
  answer.mutable_error()->set_message("upgrade the agent");
  IsRefused(answer, "upgrade the agent");
}

TEST_CASE("keeper: an agent is answered in the version that both speak, or told to be upgraded") {
  KeeperFixture keeper;
  keeper.Disconnect();
  sockaddr_un address = {};
  UniqueFd fd = Socket(keeper.socket(), &address);
  REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  auto greet = [&](int protocol) {
    keeper_pb::Request request;
    request.set_id(5);
    request.mutable_hello()->set_protocol(protocol);
    request.mutable_hello()->set_version("0.0.1");
    REQUIRE(SendPacket(fd.get(), request.SerializeAsString()).ok());
    keeper_pb::Response response;
    REQUIRE(keeper.Until([&] {
      auto packet = ReceivePacket(fd.get());
      return packet.ok() && packet->has_value() && response.ParseFromString(**packet);
    }));
    return response;
  };
  CHECK(greet(1).hello().protocol() == 1);
  CHECK(greet(99).hello().protocol() == 1);
  keeper_pb::Response refused = greet(0);
  CHECK_FALSE(refused.has_hello());
  CHECK(refused.error().code() == static_cast<int>(absl::StatusCode::kFailedPrecondition));
  CHECK(refused.error().message().find("agent 0.0.1 speaks the protocol up to version 0") == 0);
  CHECK(refused.error().message().find("upgrade the agent") != std::string::npos);
}

// An agent that says everything at once and does not wait for answers.
struct HastyAgent {
  explicit HastyAgent(KeeperFixture& fixture) : keeper(fixture) {
    sockaddr_un address = {};
    fd = Socket(keeper.socket(), &address);
    REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    keeper_pb::Request hello;
    hello.set_id(1);
    hello.mutable_hello()->set_protocol(1);
    Say(hello);
  }

  void SpawnAndList(const StartRequest& start) {
    keeper_pb::Request spawn;
    spawn.set_id(2);
    *spawn.mutable_spawn() = ToMessage(start);
    keeper_pb::Request list;
    list.set_id(3);
    list.mutable_list();
    Say(spawn);
    Say(list);
  }

  keeper_pb::Response Hear(const std::function<bool(const keeper_pb::Response&)>& which) {
    keeper_pb::Response response;
    REQUIRE(keeper.Until([&] {
      auto packet = ReceivePacket(fd.get());
      return packet.ok() && packet->has_value() && response.ParseFromString(**packet) &&
             which(response);
    }));
    return response;
  }

  void Say(const keeper_pb::Request& request) {
    REQUIRE(SendPacket(fd.get(), request.SerializeAsString()).ok());
  }

  KeeperFixture& keeper;
  UniqueFd fd;
};

TEST_CASE("keeper: what is just being started is listed with its pid") {
  KeeperFixture keeper;
  keeper.Disconnect();
  HastyAgent agent(keeper);
  agent.SpawnAndList(keeper.Shell("one", "sleep 1000"));
  const auto page = agent.Hear([](const auto& response) { return response.id() == 3; });
  REQUIRE(page.list().running_size() == 1);
  CHECK(page.list().running(0).id().instance_uid() == "one");
  CHECK(page.list().running(0).pid() > 0);
  CHECK(page.list().running(0).start_boot_nanos() > 0);
}

TEST_CASE("keeper: what was listed and then cannot be started is told to have ended") {
  KeeperFixture keeper;
  keeper.Disconnect();
  // Whether it still is being started when the list is made is a matter of microseconds.
  for (int64_t attempt = 1; attempt <= 100; ++attempt) {
    StartRequest start = keeper.Shell("one", "", attempt);
    start.command = {"/nowhere/at/all"};
    HastyAgent agent(keeper);
    agent.SpawnAndList(start);
    const auto page = agent.Hear([](const auto& response) { return response.id() == 3; });
    if (page.list().running().empty()) continue;
    CHECK(page.list().running(0).id().attempt() == attempt);
    const auto exit = agent.Hear([](const auto& response) { return response.has_exited(); });
    CHECK(exit.exited().id().attempt() == attempt);
    CHECK(exit.exited().code() == 127);
    keeper.Connect();
    REQUIRE(keeper.heard().inventories[0].exits.size() == 1);
    CHECK(keeper.heard().inventories[0].exits[0].id.attempt == attempt);
    return;
  }
  FAIL("it was never listed");
}

}  // namespace
}  // namespace appsup::agent
