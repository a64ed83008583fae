#include "agent/link/channel.h"

#include "common/rpc/credentials.h"
#include "common/server_name.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace appsup::agent {
namespace {

// An entry sends at most 1 MiB, but for one assignment that is larger by itself.
constexpr int kMaxReceiveBytes = 8 << 20;

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& entry, const Identity& identity,
                                           const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(kEntryServerName);
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // Reconnecting is done by the caller.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_time)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_timeout)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(
      entry,
      rpc::PemChannelCredentials(identity.ca_pem, identity.certificate_pem,
                                 identity.key_pem.Reveal()),
      arguments);
}

}  // namespace appsup::agent
