#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/functional/any_invocable.h"
#include "agent/probe/probe_spec.h"
#include "common/clock.h"
#include "common/event_loop.h"

namespace appsup::agent {

// Opens a connection and closes it again. Loop thread only.
class TcpProbe {
 public:
  using Done = absl::AnyInvocable<void(std::string failure)>;  // Empty: it passed.

  TcpProbe(EventLoop& loop, Clock& clock) : loop_(loop), clock_(clock) {}
  ~TcpProbe();
  TcpProbe(const TcpProbe&) = delete;
  TcpProbe& operator=(const TcpProbe&) = delete;

  // Never calls `done` from within. The id is never 0.
  uint64_t Start(const ProbeSpec& spec, Done done);
  void Cancel(uint64_t id);

 private:
  struct Connection {
    int fd = -1;
    EventLoop::TimerId timer = 0;  // The timeout, or the delivery of `failure`.
    std::string target;            // For messages: "connect 127.0.0.1:20001".
    Done done;
  };

  // Starts to connect; the failure if that ended at once, else "" with the fd watched.
  std::string Connect(const ProbeSpec& spec, uint64_t id, Connection& connection);
  void Finish(uint64_t id, const std::string& failure);
  void Close(Connection& connection);

  EventLoop& loop_;
  Clock& clock_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Connection> connections_;
};

}  // namespace appsup::agent
