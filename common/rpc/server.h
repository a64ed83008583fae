#pragma once

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/descriptor_service.h"
#include "common/rpc/server_call.h"
#include "grpcpp/grpcpp.h"

namespace appsup::rpc {

struct Listener {
  std::string address;  // "127.0.0.1:7070"; port 0: any.
  std::shared_ptr<grpc::ServerCredentials> credentials;
};

struct ServerOptions {
  std::vector<Listener> listeners;  // May be none, if connections are added by hand.
  int threads = 2;                  // Polling threads, one completion queue each.
  int max_receive_bytes = 4 << 20;
  int max_streams_per_connection = 1000;
  bool reflection_and_health = false;
  // Half-open connections are found by pings of the server; see the design's notes on gRPC.
  absl::Duration keepalive_time = absl::Seconds(15);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  absl::Duration min_ping_interval = absl::Seconds(10);  // Half of what clients are told to use.
  // A connection without a call for so long is ended; its client makes a new one when it needs it.
  absl::Duration max_idle = absl::InfiniteDuration();
  // Until TLS and HTTP/2 have begun: who connects and says nothing is not waited for longer.
  absl::Duration handshake_timeout = absl::Seconds(20);
  // What all connections together may hold in buffers. Beyond it connections are refused.
  size_t max_buffered_bytes = size_t{512} << 20;
  CallObserver observer;  // May be empty.
};

// A gRPC server on completion queues with few threads of its own. Handlers are told on these
// threads and must not block.
class Server {
 public:
  using Services = std::vector<std::pair<const google::protobuf::ServiceDescriptor*, CallHandler>>;

  // UNAVAILABLE with the address if a port is taken.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const Services& services);
  ~Server();  // Shuts down at once.

  // The port that the n-th listener got.
  int port(size_t listener) const { return ports_[listener]; }

  // Serves a connected stream socket; takes `fd`. The calls' peer is "fd:N".
  void AddConnection(int fd);

  // What the health service says. Starts as not serving.
  void SetServing(bool serving);

  // Lets calls end by themselves until `grace` is over, cancels what is left, and ends the threads.
  // Only once; from a thread that is not one of gRPC's.
  void Shutdown(absl::Duration grace);

 private:
  Server() = default;

  std::vector<std::unique_ptr<DescriptorService>> services_;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<int> ports_;
  std::vector<std::thread> threads_;
};

}  // namespace appsup::rpc
