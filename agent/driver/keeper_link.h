#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "appsupervisor/keeper/v1/keeper.pb.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace appsup::agent {

namespace keeper_pb = ::appsupervisor::keeper::v1;

// The agent's end of the keeper's socket. Connects, and connects again when the connection ends:
// after 50 ms, doubling to 1 s until it has proven to be of use. Loop thread only; events come from
// the loop, never from within a call.
class KeeperLink {
 public:
  struct Events {
    absl::AnyInvocable<void()> on_open;
    absl::AnyInvocable<void(keeper_pb::Response)> on_response;
    // After on_open, and once if the very first attempt fails. What was not sent is dropped.
    absl::AnyInvocable<void(const absl::Status&)> on_closed;
  };

  KeeperLink(EventLoop& loop, Clock& clock, std::string socket_path, Events events);
  ~KeeperLink();

  void Open();
  // `body` is a serialised Request of at most kBodyLimit bytes. Dropped if the link is not open.
  void Send(std::string body);
  // The keeper at the other end can be worked with.
  void Proven() { failures_ = 0; }
  // Ends the connection, as if the keeper had; it is opened anew.
  void Reset(const absl::Status& why);

 private:
  void Connect();
  absl::Status TryConnect();
  void RetryLater();
  void OnReady(uint32_t events);
  void Receive();
  void Flush();
  void Watch();
  void Close(const absl::Status& why);

  EventLoop& loop_;
  Clock& clock_;
  const std::string socket_path_;
  Events events_;
  UniqueFd socket_;
  uint64_t generation_ = 0;  // Of the connection; tells a callback that it was closed meanwhile.
  bool ever_told_ = false;
  uint32_t failures_ = 0;
  uint32_t watched_for_ = 0;
  EventLoop::TimerId retry_timer_ = 0;
  std::deque<std::string> outgoing_;
};

}  // namespace appsup::agent
