#include "common/rpc/server.h"

#include <fcntl.h>

#include "common/check.h"
#include "common/log.h"
#include "common/rpc/deadline.h"
#include "common/status.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_posix.h"

namespace appsup::rpc {
namespace {

// After everything was cancelled, calls end within milliseconds; longer is a mistake of ours.
constexpr absl::Duration kCallsEndWithin = absl::Seconds(10);

// The library's plugin factory applies to every server of the process; this decides for one.
class ReflectionOption : public grpc::ServerBuilderOption {
 public:
  explicit ReflectionOption(bool reflection) : reflection_(reflection) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->clear();
    if (reflection_) {
      // The library answers for health without descriptors; this links ours, to be reflected.
      grpc::health::v1::HealthCheckRequest::descriptor();
      plugins->push_back(std::make_unique<grpc::reflection::ProtoServerReflectionPlugin>());
    }
  }

 private:
  const bool reflection_;
};

void Configure(const ServerOptions& options, grpc::ServerBuilder* builder) {
  auto millis = [](absl::Duration value) {
    return static_cast<int>(absl::ToInt64Milliseconds(value));
  };
  builder->SetMaxReceiveMessageSize(options.max_receive_bytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_streams_per_connection);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, millis(options.keepalive_time));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, millis(options.keepalive_timeout));
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                              millis(options.min_ping_interval));
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                              millis(options.handshake_timeout));
  if (options.max_idle != absl::InfiniteDuration()) {
    builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, millis(options.max_idle));
  }
  builder->SetResourceQuota(grpc::ResourceQuota().Resize(options.max_buffered_bytes));
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->SetOption(std::make_unique<ReflectionOption>(options.reflection_and_health));
  // Reflection is the only service of the synchronous kind.
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
}

void Poll(grpc::ServerCompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) static_cast<CompletionTag*>(tag)->Complete(ok);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const Services& services) {
  grpc::EnableDefaultHealthCheckService(options.reflection_and_health);
  std::unique_ptr<Server> server(new Server);
  grpc::ServerBuilder builder;
  Configure(options, &builder);
  server->ports_.resize(options.listeners.size());
  for (size_t i = 0; i < options.listeners.size(); ++i) {
    builder.AddListeningPort(options.listeners[i].address, options.listeners[i].credentials,
                             &server->ports_[i]);
  }
  for (const auto& [descriptor, handler] : services) {
    server->services_.push_back(
        std::make_unique<DescriptorService>(*descriptor, handler, options.observer));
    builder.RegisterService(server->services_.back().get());
  }
  for (int i = 0; i < options.threads; ++i) server->queues_.push_back(builder.AddCompletionQueue());
  server->server_ = builder.BuildAndStart();
  for (size_t i = 0; i < options.listeners.size(); ++i) {
    if (server->server_ != nullptr && server->ports_[i] != 0) continue;
    const std::string& address = options.listeners[i].address;
    return MakeError(absl::StatusCode::kUnavailable, "CANNOT_LISTEN",
                     "cannot listen on " + address +
                         ": another program uses the port, or the address is not this machine's",
                     {{"address", address}});
  }
  if (server->server_ == nullptr) return absl::InternalError("gRPC could not start a server");
  server->SetServing(false);
  for (auto& queue : server->queues_) {
    for (auto& service : server->services_) service->Serve(queue.get());
    server->threads_.emplace_back([raw = queue.get()] { Poll(raw); });
  }
  return server;
}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::AddConnection(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  grpc::AddInsecureChannelFromFd(server_.get(), fd);
}

void Server::SetServing(bool serving) {
  if (auto* health = server_->GetHealthCheckService(); health != nullptr) {
    health->SetServingStatus(serving);
  }
}

void Server::Shutdown(absl::Duration grace) {
  for (auto& service : services_) service->Stop();
  if (server_ != nullptr) server_->Shutdown(DeadlineIn(grace));
  if (!threads_.empty()) {
    for (auto& service : services_) {
      APPSUP_CHECK(service->WaitForCalls(kCallsEndWithin), "a call is never let go of");
    }
  }
  for (auto& queue : queues_) queue->Shutdown();
  for (std::thread& thread : threads_) thread.join();
  if (threads_.empty()) {
    void* tag = nullptr;
    bool ok = false;
    for (auto& queue : queues_) {
      while (queue->Next(&tag, &ok)) static_cast<CompletionTag*>(tag)->Complete(ok);
    }
  }
  threads_.clear();
  queues_.clear();
  server_.reset();
  services_.clear();
}

}  // namespace appsup::rpc
