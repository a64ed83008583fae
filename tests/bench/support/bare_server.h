#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"

namespace appsup::bench {

// gRPC's completion-queue server with nothing behind it: each message of a call is answered by a
// message of `reply_bytes`. Calls of a method that ends in "/Unary" end with their first answer. As
// many polling threads as the entry has, one queue each.
class BareServer {
 public:
  BareServer(std::shared_ptr<grpc::ServerCredentials> credentials, size_t reply_bytes);
  ~BareServer();

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }

 private:
  class Call;
  static constexpr int kThreads = 2;

  grpc::AsyncGenericService service_;
  const std::string reply_;
  int port_ = 0;
  std::atomic<int> calls_ = 0;  // A queue may end once no call can use it.
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::thread> threads_;
};

}  // namespace appsup::bench
