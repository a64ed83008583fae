#include "agent/port_check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "common/unique_fd.h"

namespace appsup::agent {
namespace {

// A socket of this program, listening on loopback; its port.
int32_t Listen(int type, UniqueFd* fd) {
  *fd = UniqueFd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(fd->get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  if (type == SOCK_STREAM) REQUIRE(listen(fd->get(), 1) == 0);
  socklen_t size = sizeof(address);
  REQUIRE(getsockname(fd->get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

TEST_CASE("port check: a port that somebody listens on is busy, for its transport") {
  UniqueFd tcp;
  UniqueFd udp;
  const int32_t tcp_port = Listen(SOCK_STREAM, &tcp);
  const int32_t udp_port = Listen(SOCK_DGRAM, &udp);
  CHECK(FindBusyPorts({{tcp_port, false}}) == std::vector<int32_t>{tcp_port});
  CHECK(FindBusyPorts({{udp_port, true}}) == std::vector<int32_t>{udp_port});
  tcp = UniqueFd();
  CHECK(FindBusyPorts({{tcp_port, false}}).empty());
}

}  // namespace
}  // namespace appsup::agent
