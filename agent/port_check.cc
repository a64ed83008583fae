#include "agent/port_check.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/unique_fd.h"

namespace appsup::agent {
namespace {

bool InUse(int family, const PortToCheck& port) {
  UniqueFd fd(socket(family, (port.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return false;  // No such family here.
  const int on = 1;
  // Connections that linger after a listener's end do not count; a listener does.
  if (!port.udp) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<uint16_t>(port.number));
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = v4.sin_port;
  if (family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  const bool is_v6 = family == AF_INET6;
  const auto* address =
      is_v6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  const socklen_t size = is_v6 ? sizeof(v6) : sizeof(v4);
  return bind(fd.get(), address, size) != 0 && errno == EADDRINUSE;
}

}  // namespace

std::vector<int32_t> FindBusyPorts(const std::vector<PortToCheck>& ports) {
  std::vector<int32_t> busy;
  for (const PortToCheck& port : ports) {
    if (InUse(AF_INET, port) || InUse(AF_INET6, port)) busy.push_back(port.number);
  }
  return busy;
}

}  // namespace appsup::agent
