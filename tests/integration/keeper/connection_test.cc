#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <fstream>

#include "common/packet.h"
#include "common/unique_fd.h"
#include "tests/integration/keeper/keeper_fixture.h"

namespace appsup::agent {
namespace {

constexpr uid_t kNobody = 65534;

// -1 if the connection is refused.
int ConnectTo(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

// The keeper ends the connection, and nothing more.
bool IsHungUp(KeeperFixture& keeper, int fd) {
  return keeper.Until([&] {
    char buffer[1024];
    ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  });
}

void SendFd(int socket, int fd) {
  char tag = 'm';
  iovec part = {&tag, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &fd, sizeof(fd));
  REQUIRE(sendmsg(socket, &header, 0) == 1);
}

TEST_CASE("keeper: children outlive the agent, and the next one learns how they ended") {
  KeeperFixture keeper;
  StartRequest lasting = keeper.Shell("lasting", "sleep 1000");
  StartRequest ending = keeper.Shell("ending", "until [ -e go ]; do sleep 0.01; done; exit 7");
  Started started = keeper.Start(lasting);
  auto ending_pid = static_cast<pid_t>(keeper.Start(ending).pid);
  keeper.Disconnect();
  std::ofstream(keeper.InstanceDir("ending") + "/go") << "\n";
  REQUIRE(keeper.Until([&] { return !IsAlive(ending_pid); }));

  for (int agent = 0; agent < 2; ++agent) {  // The second one too: nobody has acknowledged.
    keeper.Connect();
    const Inventory& inventory = keeper.heard().inventories[0];
    REQUIRE(inventory.running.size() == 1);
    CHECK(inventory.running[0].started.pid == started.pid);
    CHECK(inventory.running[0].started.start_time == started.start_time);
    REQUIRE(inventory.exits.size() == 1);
    CHECK(inventory.exits[0].id == ending.id);
    CHECK(inventory.exits[0].exit.code == 7);
  }
  keeper.driver().AckExit(ending.id);
  keeper.driver().AckExit(lasting.id);  // It runs, so it stays.
  keeper.driver().SampleUsage();
  REQUIRE(keeper.Until([&] { return !keeper.heard().usages.empty(); }));
  keeper.Connect();
  CHECK(keeper.heard().inventories[0].running.size() == 1);
  CHECK(keeper.heard().inventories[0].exits.empty());
}

TEST_CASE("keeper: a long list comes in pages, and whole") {
  KeeperFixture keeper;
  constexpr size_t kCount = 450;
  for (size_t i = 0; i < kCount; ++i) {
    StartRequest request = keeper.Shell("i" + std::to_string(i), "true");
    request.stdout_path = request.stderr_path = "";
    request.command = {"/bin/true"};
    keeper.driver().Start(request);
  }
  REQUIRE(keeper.Until([&] { return keeper.heard().exits.size() == kCount; }));
  keeper.Connect();
  CHECK(keeper.heard().inventories[0].exits.size() == kCount);
}

TEST_CASE("keeper: a newer connection replaces the older one") {
  KeeperFixture keeper;
  RecordingListener heard;
  SystemClock clock;
  ProcessDriver second(keeper.loop(), clock, keeper.socket(), "second");
  second.Open(heard);
  CHECK(keeper.Until(
      [&] { return !heard.inventories.empty() && !keeper.heard().disconnects.empty(); }));
}

TEST_CASE("driver: what is asked while the keeper is away is done when it is back") {
  KeeperFixture keeper;
  StartRequest running = keeper.Shell("running", "sleep 1000");
  keeper.Start(running);
  keeper.EndKeeper(SIGKILL);
  REQUIRE(keeper.Until([&] { return !keeper.heard().disconnects.empty(); }));
  StartRequest late = keeper.Shell("late", "exit 6");
  keeper.driver().Start(late);
  for (int i = 0; i < 3; ++i) keeper.driver().Kill(running.id);
  keeper.StartKeeper();
  CHECK(keeper.WaitForExit(late.id).code == 6);
  keeper.WaitForExit(running.id);
  CHECK(keeper.heard().inventories.size() == 2);
  CHECK(keeper.heard().started[late.id].size() == 1);
}

TEST_CASE("keeper: another user is turned away at the door", "[root]") {
  KeeperFixture keeper;
  std::string folder = keeper.socket().substr(0, keeper.socket().rfind('/'));
  struct stat info;
  REQUIRE(stat(folder.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0700);

  // 0: could not come near. 1: hung up. Else: was let in.
  auto try_as_nobody = [&] {
    pid_t child = fork();
    if (child == 0) {
      if (setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(9);
      int fd = ConnectTo(keeper.socket());
      if (fd < 0) _exit(0);
      char byte;
      _exit(recv(fd, &byte, 1, 0) == 0 ? 1 : 2);
    }
    int status = -1;
    CHECK(keeper.Until([&] { return waitpid(child, &status, WNOHANG) == child; }));
    return WEXITSTATUS(status);
  };
  CHECK(try_as_nobody() == 0);
  // Even with the folder and the socket wide open.
  REQUIRE(chmod(folder.c_str(), 0755) == 0);
  REQUIRE(chmod(keeper.socket().c_str(), 0666) == 0);
  CHECK(try_as_nobody() == 1);
  CHECK(keeper.heard().disconnects.empty());
}

TEST_CASE("keeper: what is not a request ends the connection and nothing else") {
  KeeperFixture keeper;
  StartRequest request = keeper.Shell("one", "sleep 1000");
  Started started = keeper.Start(request);
  keeper.Disconnect();

  SECTION("bytes that make no sense") {
    UniqueFd fd(ConnectTo(keeper.socket()));
    REQUIRE(send(fd.get(), "b\xff\xff\xff", 4, 0) == 4);
    CHECK(IsHungUp(keeper, fd.get()));
  }
  SECTION("a packet of another form") {
    UniqueFd fd(ConnectTo(keeper.socket()));
    REQUIRE(send(fd.get(), "x", 1, 0) == 1);
    CHECK(IsHungUp(keeper, fd.get()));
  }
  SECTION("a packet that is too large") {
    UniqueFd fd(ConnectTo(keeper.socket()));
    std::string large(kInlineLimit + 2, 'b');
    REQUIRE(send(fd.get(), large.data(), large.size(), 0) > 0);
    CHECK(IsHungUp(keeper, fd.get()));
  }
  SECTION("a memfd that its sender could still change") {
    UniqueFd fd(ConnectTo(keeper.socket()));
    UniqueFd memfd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
    SendFd(fd.get(), memfd.get());
    CHECK(IsHungUp(keeper, fd.get()));
  }
  SECTION("a plain file in a memfd's place") {
    UniqueFd fd(ConnectTo(keeper.socket()));
    UniqueFd file(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    SendFd(fd.get(), file.get());
    CHECK(IsHungUp(keeper, fd.get()));
  }
  keeper.Connect();
  REQUIRE(keeper.heard().inventories[0].running.size() == 1);
  CHECK(keeper.heard().inventories[0].running[0].started.pid == started.pid);
}

TEST_CASE("keeper: requests before Hello are refused") {
  KeeperFixture keeper;
  keeper.Disconnect();
  UniqueFd fd(ConnectTo(keeper.socket()));
  keeper_pb::Request request;
  request.set_id(5);
  request.mutable_list();
  REQUIRE(SendPacket(fd.get(), request.SerializeAsString()).ok());
  std::optional<std::string> answer;
  REQUIRE(keeper.Until([&] {
    auto packet = ReceivePacket(fd.get());
    if (packet.ok()) answer = *packet;
    return answer.has_value();
  }));
  keeper_pb::Response response;
  REQUIRE(response.ParseFromString(*answer));
  CHECK(response.id() == 5);
  CHECK(response.error().message() == "the first request must be Hello");
}

}  // namespace
}  // namespace appsup::agent
