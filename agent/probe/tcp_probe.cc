#include "agent/probe/tcp_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/probe/failure_text.h"
#include "common/text_units.h"

namespace appsup::agent {
namespace {

// 0 if `address` is no IP address.
socklen_t MakeAddress(const std::string& address, uint16_t port, sockaddr_storage* storage) {
  std::memset(storage, 0, sizeof(*storage));
  auto* v4 = reinterpret_cast<sockaddr_in*>(storage);
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return sizeof(*v4);
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(storage);
  if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof(*v6);
  }
  return 0;
}

}  // namespace

TcpProbe::~TcpProbe() {
  for (auto& [id, connection] : connections_) Close(connection);
}

uint64_t TcpProbe::Start(const ProbeSpec& spec, Done done) {
  const uint64_t id = next_id_++;
  Connection& connection = connections_[id];
  connection.target = "connect " + HostPort(spec.address, spec.port);
  connection.done = std::move(done);
  const std::string failure = Connect(spec, id, connection);
  const absl::Duration now = clock_.Now().boot;
  if (!failure.empty()) {
    connection.timer = loop_.AddTimer(now, [this, id, failure] { Finish(id, failure); });
    return id;
  }
  connection.timer = loop_.AddTimer(now + spec.timeout, [this, id, timeout = spec.timeout] {
    Finish(id, "no answer within " + FormatDuration(timeout));
  });
  return id;
}

void TcpProbe::Cancel(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Close(found->second);
  connections_.erase(found);
}

std::string TcpProbe::Connect(const ProbeSpec& spec, uint64_t id, Connection& connection) {
  sockaddr_storage address;
  const socklen_t length = MakeAddress(spec.address, spec.port, &address);
  if (length == 0) return "\"" + spec.address + "\" is no IP address";
  connection.fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection.fd < 0) return ErrnoText(errno);
  if (connect(connection.fd, reinterpret_cast<sockaddr*>(&address), length) != 0 &&
      errno != EINPROGRESS) {
    return ErrnoText(errno);
  }
  // A connection that stands already is writable too.
  const absl::Status watched = loop_.Watch(connection.fd, EPOLLOUT, [this, id](uint32_t) {
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(connections_.at(id).fd, SOL_SOCKET, SO_ERROR, &error, &size);
    Finish(id, error == 0 ? "" : ErrnoText(error));
  });
  return watched.ok() ? "" : std::string(watched.message());
}

void TcpProbe::Finish(uint64_t id, const std::string& failure) {
  const auto found = connections_.find(id);
  Close(found->second);
  Done done = std::move(found->second.done);
  const std::string message = failure.empty() ? "" : found->second.target + ": " + failure;
  connections_.erase(found);
  done(message);
}

void TcpProbe::Close(Connection& connection) {
  loop_.CancelTimer(connection.timer);
  if (connection.fd < 0) return;
  loop_.Unwatch(connection.fd);
  close(connection.fd);
  connection.fd = -1;
}

}  // namespace appsup::agent
