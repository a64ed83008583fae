#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "agent/keeper/policy.h"
#include "agent/keeper/poller.h"
#include "common/unique_fd.h"

namespace appsup::keeper {

// Where the agent comes in: a SOCK_SEQPACKET socket in a folder that only the agent's user can
// enter. The peer's user id is checked as well. There is one connection; a newer one replaces the
// older. While the peer does not take its answers, no more of its requests are read.
class Door {
 public:
  struct Events {
    std::function<void()> on_connected;  // Answers of an older connection are of no use any more.
    std::function<void(pb::Request)> on_request;
    std::function<void()> on_batch_end;  // No more requests for now.
  };

  Door(const Policy& policy, Poller& poller, Events events);
  ~Door();

  absl::Status Open();
  // A listening socket that an earlier program of this process opened.
  absl::Status TakeOver(UniqueFd listener);
  int listener() const { return listener_.get(); }
  // To the present connection; lost if there is none. Responses keep their order.
  void Send(const pb::Response& response);

 private:
  absl::Status MakeSocketFolder();
  void Accept();
  bool PeerIsAgent(int fd);
  void OnReady();
  void ReadRequests();
  void Flush();
  void Watch();
  void Drop(const absl::Status& why);

  const Policy& policy_;
  Poller& poller_;
  Events events_;
  UniqueFd listener_;
  UniqueFd connection_;
  std::deque<std::string> outgoing_;
  uint32_t watched_for_ = 0;
};

}  // namespace appsup::keeper
