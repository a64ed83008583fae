#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "google/protobuf/message.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/support/byte_buffer.h"

namespace appsup::bench {

grpc::ByteBuffer ToBytes(const std::string& bytes);
grpc::ByteBuffer ToBytes(const google::protobuf::Message& message);
void Parse(const grpc::ByteBuffer& bytes, google::protobuf::Message* message);

// Many connections with one stream of raw messages each, on one completion queue and one thread:
// the same client for ours and for the bare reference.
class StreamClient {
 public:
  static constexpr size_t kMaxStreams = 20'000;

  // On the client's thread.
  using OnMessage = std::function<void(size_t stream, const grpc::ByteBuffer& message)>;

  // `method`: "/package.Service/Method".
  StreamClient(std::string method, OnMessage on_message);
  ~StreamClient();  // Cancels all.

  // A further connection; `first` is sent on it. Its number counts from 0.
  void Open(const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials,
            grpc::ByteBuffer first);

  // What was given before on the same stream goes first. Thread-safe.
  void Send(size_t stream, grpc::ByteBuffer message);

  size_t size() const { return streams_.size(); }
  int64_t received() const { return received_; }
  int ended() const { return ended_; }  // Streams that the server or the network ended.

 private:
  class Stream;
  void Poll();

  const std::string method_;
  const OnMessage on_message_;
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::atomic<int64_t> received_ = 0;
  std::atomic<int> ended_ = 0;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

// One unary call of raw bytes; returns the seconds that it took. For a client that has been silent.
class UnaryClient {
 public:
  UnaryClient(const std::string& address, std::string method, std::string bearer_token);
  double Call(const grpc::ByteBuffer& request);

 private:
  const std::string method_;
  const std::string token_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::CompletionQueue queue_;
};

}  // namespace appsup::bench
