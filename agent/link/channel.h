#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "agent/link/identity.h"
#include "grpcpp/channel.h"

namespace appsup::agent {

struct ChannelOptions {
  absl::Duration keepalive_time = absl::Seconds(20);
  absl::Duration keepalive_timeout = absl::Seconds(10);
};

// A connection of its own (never shared with another channel) to an entry whose certificate the CA
// of `identity` signed. Shows the node's certificate if there is one. "HOST:PORT".
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& entry, const Identity& identity,
                                           const ChannelOptions& options);

}  // namespace appsup::agent
