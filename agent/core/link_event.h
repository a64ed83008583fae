#pragma once

#include <cstdint>
#include <memory>
#include <variant>

#include "absl/status/status.h"
#include "appsupervisor/v1/link.pb.h"

// What the agent's end of the link tells (agent/link makes these, the core takes them). Numbers of
// connections grow; a later one never carries news of an earlier one.
namespace appsup::agent {

struct LinkUp {
  uint64_t connection = 0;
};

struct LinkMessage {
  uint64_t connection = 0;
  std::shared_ptr<const appsupervisor::v1::ConnectResponse> message;
};

// The message given to Send was taken over by the transport; the next may be sent.
struct LinkWritable {
  uint64_t connection = 0;
};

struct LinkDown {
  uint64_t connection = 0;
  absl::Status status;  // Why; never OK.
};

using LinkEvent = std::variant<LinkUp, LinkMessage, LinkWritable, LinkDown>;

}  // namespace appsup::agent
