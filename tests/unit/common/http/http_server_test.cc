#include "common/http/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/mutex.h"
#include "common/unique_fd.h"
#include "tests/support/wait.h"

namespace appsup {
namespace {

constexpr char kGet[] = "GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

UniqueFd Connect(int port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  const timeval patience{8, 0};  // Shorter than the server's with idle peers.
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return fd;
}

void Say(const UniqueFd& fd, const std::string& text) {
  REQUIRE(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(text.size()));
}

// All that comes until the server closes or is silent for too long.
std::string Hear(const UniqueFd& fd) {
  std::string heard;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = recv(fd.get(), buffer, sizeof(buffer), 0)) > 0) {
    heard.append(buffer, static_cast<size_t>(got));
  }
  return heard;
}

// Answers at once, but for /slow: that one is kept for the test.
class TestServer {
 public:
  TestServer() {
    auto server = HttpServer::Start(
        "127.0.0.1:0", [this](const HttpRequest& request, HttpServer::Respond respond) {
          if (request.path != "/slow") return respond({.body = "done\n"});
          MutexLock lock(&mutex_);
          slow_ = std::move(respond);
        });
    REQUIRE(server.ok());
    server_ = std::move(*server);
  }

  int port() const { return server_->port(); }
  bool HasSlow() {
    MutexLock lock(&mutex_);
    return slow_ != nullptr;
  }
  void AnswerSlow() {
    MutexLock lock(&mutex_);
    slow_({.body = "slow\n"});
  }

 private:
  Mutex mutex_;
  HttpServer::Respond slow_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;
};

// More than are served at once; every other one begins a request and does not end it.
std::vector<UniqueFd> Strangers(int port) {
  std::vector<UniqueFd> strangers;
  for (unsigned i = 0; i < HttpServer::kMaxConnections + 100; ++i) {
    strangers.push_back(Connect(port));
    if (i % 2 == 0) Say(strangers.back(), "GET /quick HTTP/1.1\r\nHo");
  }
  return strangers;
}

TEST_CASE("http server: strangers that hold connections open keep nobody out") {
  TestServer server;
  const auto strangers = Strangers(server.port());
  for (int i = 0; i < 3; ++i) {
    const UniqueFd visitor = Connect(server.port());
    Say(visitor, kGet);
    CHECK_THAT(Hear(visitor), Catch::StartsWith("HTTP/1.1 200") && Catch::EndsWith("done\n"));
  }
}

TEST_CASE("http server: who waits for an answer is not hung up on to make room") {
  TestServer server;
  const UniqueFd patient = Connect(server.port());
  Say(patient, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  REQUIRE(testing::WaitFor([&] { return server.HasSlow(); }));
  const auto strangers = Strangers(server.port());
  const UniqueFd visitor = Connect(server.port());
  Say(visitor, kGet);
  CHECK_THAT(Hear(visitor), Catch::EndsWith("done\n"));
  server.AnswerSlow();
  CHECK_THAT(Hear(patient), Catch::EndsWith("slow\n"));
}

TEST_CASE("http server: a connection serves one request after the other") {
  TestServer server;
  const UniqueFd visitor = Connect(server.port());
  for (int i = 0; i < 3; ++i) {
    Say(visitor, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n");
    char buffer[4096];
    std::string heard;
    while (!heard.ends_with("done\n")) {
      const ssize_t got = recv(visitor.get(), buffer, sizeof(buffer), 0);
      REQUIRE(got > 0);
      heard.append(buffer, static_cast<size_t>(got));
    }
  }
}

}  // namespace
}  // namespace appsup
