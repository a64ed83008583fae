// The gateway over real sockets; who asks for an app is answered by the test.
#include "entry/gateway/gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <string>
#include <thread>

namespace appsup::entry {
namespace {

// Sends one request and returns all that came back.
std::string Fetch(int port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(send(fd, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  ssize_t got;
  while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) answer.append(buffer, got);
  close(fd);
  return answer;
}

std::string Get(int port, const std::string& path) {
  return Fetch(port, "GET " + path + " HTTP/1.1\r\nHost: x:7072\r\nConnection: close\r\n\r\n");
}

class GatewayFixture {
 public:
  GatewayFixture() {
    auto find = [this](const std::string& name, auto found) {
      // As the core thread would: later, from another thread.
      threads_.emplace_back(
          [this, name, found = std::move(found)]() mutable { found(Find(name)); });
    };
    auto gateway = Gateway::Start("127.0.0.1:0", metrics_, find, [](auto done) { done(); });
    REQUIRE(gateway.ok());
    gateway_ = std::move(*gateway);
  }
  ~GatewayFixture() {
    gateway_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  int port() const { return gateway_->port(); }
  Metrics& metrics() { return metrics_; }
  absl::Status down;  // Set: nobody leads.

 private:
  absl::StatusOr<appsupervisor::v1::App> Find(const std::string& name) const {
    if (!down.ok()) return down;
    if (name != "projects/default/apps/crm") return absl::NotFoundError(name + " does not exist");
    appsupervisor::v1::App app;
    app.set_name(name);
    app.mutable_spec()->add_ports()->set_name("http");
    auto* endpoint = app.mutable_status()->add_endpoints();
    endpoint->set_port("http");
    endpoint->set_address("127.0.0.1:20000");
    return app;
  }

  Metrics metrics_;
  std::vector<std::thread> threads_;
  std::unique_ptr<Gateway> gateway_;
};

TEST_CASE_METHOD(GatewayFixture, "gateway: a visit is redirected to a ready instance") {
  const std::string answer = Get(port(), "/apps/crm/a%20b?x=1&y=%20");
  CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 307"));
  CHECK_THAT(answer, Catch::Contains("Location: http://127.0.0.1:20000/a%20b?x=1&y=%20\r\n"));
  CHECK_THAT(Get(port(), "/apps/crm?x=1"), Catch::Contains("Location: /apps/crm/?x=1\r\n"));
}

TEST_CASE_METHOD(GatewayFixture, "gateway: an unknown app is 404, an unknown path too") {
  CHECK_THAT(Get(port(), "/apps/nope/"), Catch::StartsWith("HTTP/1.1 404"));
  CHECK_THAT(Get(port(), "/nope"), Catch::StartsWith("HTTP/1.1 404"));
}

TEST_CASE_METHOD(GatewayFixture, "gateway: metrics are in the Prometheus text format") {
  metrics().Counter("appsup_test_total", "A test.").Increment();
  const std::string answer = Get(port(), "/metrics");
  CHECK_THAT(answer, Catch::Contains("text/plain; version=0.0.4"));
  CHECK_THAT(answer, Catch::Contains("appsup_test_total 1"));
}

TEST_CASE_METHOD(GatewayFixture, "gateway: health follows whether a core leads") {
  CHECK_THAT(Get(port(), "/healthz"), Catch::StartsWith("HTTP/1.1 200"));
  down = absl::UnavailableError("the catalog's store does not answer");
  const std::string answer = Get(port(), "/healthz");
  CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 503"));
  CHECK_THAT(answer, Catch::Contains("the catalog's store does not answer"));
}

TEST_CASE_METHOD(GatewayFixture, "gateway: only GET and HEAD are served") {
  CHECK_THAT(Fetch(port(),
                   "POST /apps/crm/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                   "Connection: close\r\n\r\nhi"),
             Catch::StartsWith("HTTP/1.1 405"));
}

TEST_CASE("gateway: an address that is taken is named") {
  GatewayFixture first;
  Metrics metrics;
  const std::string address = "127.0.0.1:" + std::to_string(first.port());
  const auto second = Gateway::Start(
      address, metrics, [](const auto&, auto) {}, [](auto) {});
  CHECK_THAT(second.status().ToString(), Catch::Contains(address));
}

}  // namespace
}  // namespace appsup::entry
