#include "common/rpc/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>

#include "appsupervisor/v1/event_service.grpc.pb.h"
#include "appsupervisor/v1/link.grpc.pb.h"
#include "appsupervisor/v1/operation_service.grpc.pb.h"
#include "common/rpc/grpc_status.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "grpcpp/impl/client_unary_call.h"
#include "tests/support/wait.h"

namespace appsup::rpc {
namespace {

namespace v1 = ::appsupervisor::v1;

// A sink that does what the test says.
struct TestSink : CallSink {
  explicit TestSink(std::shared_ptr<ServerCall> call) : call(std::move(call)) {}
  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    if (on_message) on_message(*message);
  }
  void OnReadsDone() override {
    if (on_reads_done) on_reads_done();
  }
  void OnWritten() override {
    if (on_written) on_written();
  }
  void OnDone() override {
    if (on_done) on_done();
    call.reset();
  }

  std::shared_ptr<ServerCall> call;
  std::function<void(const google::protobuf::Message&)> on_message;
  std::function<void()> on_reads_done, on_written, on_done;
};

using Setup = std::function<void(TestSink&)>;

// A server of three services whose calls are all served as `setup` says.
class TestServer {
 public:
  explicit TestServer(Setup setup, ServerOptions options = {}) {
    CallHandler handler = [setup](const std::shared_ptr<ServerCall>& call) {
      auto sink = std::make_shared<TestSink>(call);
      setup(*sink);
      call->Read();
      return sink;
    };
    options.listeners = {{"127.0.0.1:0", grpc::InsecureServerCredentials()}};
    options.reflection_and_health = true;
    auto started = Server::Start(
        options, {{v1::GetOperationRequest::descriptor()->file()->service(0), handler},
                  {v1::WatchEventsRequest::descriptor()->file()->service(0), handler},
                  {v1::ConnectRequest::descriptor()->file()->service(0), handler}});
    REQUIRE(started.ok());
    server = std::move(*started);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxSendMessageSize(-1);
    channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server->port(0)),
                                        grpc::InsecureChannelCredentials(), arguments);
  }

  absl::Status Get(const std::string& name, v1::Operation* operation,
                   absl::Duration timeout = absl::Seconds(20)) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    v1::GetOperationRequest request;
    request.set_name(name);
    return FromGrpcStatus(
        v1::OperationService::NewStub(channel)->GetOperation(&context, request, operation));
  }

  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> channel;
};

void EchoName(TestSink& sink) {
  sink.on_message = [&sink](const google::protobuf::Message& message) {
    v1::Operation operation;
    operation.set_name(static_cast<const v1::GetOperationRequest&>(message).name());
    sink.call->FinishWith(operation);
  };
}

TEST_CASE("rpc server: a unary call gets the answer to its request") {
  TestServer test(EchoName);
  for (int i = 0; i < 50; ++i) {
    v1::Operation operation;
    REQUIRE(test.Get("operations/o" + std::to_string(i), &operation).ok());
    CHECK(operation.name() == "operations/o" + std::to_string(i));
  }
}

TEST_CASE("rpc server: an error reaches the caller with its details") {
  TestServer test([](TestSink& sink) {
    sink.on_message = [&sink](const google::protobuf::Message&) {
      sink.call->Finish(MakeError(absl::StatusCode::kNotFound, "NO_SUCH_OPERATION", "not here",
                                  {{"name", "operations/x"}}, {{"name", "unknown"}}));
    };
  });
  v1::Operation operation;
  const absl::Status status = test.Get("operations/x", &operation);
  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(ErrorReason(status) == "NO_SUCH_OPERATION");
  CHECK(GetFieldViolations(status) == std::vector<FieldViolation>{{"name", "unknown"}});
}

TEST_CASE("rpc server: a request above the limit is refused and the server serves on") {
  TestServer test(EchoName);
  v1::Operation operation;
  const absl::Status status = test.Get(std::string(10 << 20, 'x'), &operation);
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(test.Get("operations/a", &operation).ok());
}

TEST_CASE("rpc server: a method that is not registered is unimplemented") {
  TestServer test(EchoName);
  grpc::ClientContext context;
  v1::Operation operation;
  v1::GetOperationRequest request;
  const auto status = grpc::internal::BlockingUnaryCall(
      test.channel.get(),
      grpc::internal::RpcMethod("/appsupervisor.v1.OperationService/Nope",
                                grpc::internal::RpcMethod::NORMAL_RPC),
      &context, request, &operation);
  CHECK(status.error_code() == grpc::StatusCode::UNIMPLEMENTED);
}

TEST_CASE("rpc server: a stream brings all messages in order, then the status") {
  auto sent = std::make_shared<std::atomic<int>>(0);
  TestServer test([sent](TestSink& sink) {
    auto next = [&sink, sent] {
      if (*sent == 300) return sink.call->Finish(absl::OkStatus());
      v1::Event event;
      event.set_log_index(++*sent);
      sink.call->Write(event);
    };
    sink.on_message = [next](const google::protobuf::Message&) { next(); };
    sink.on_written = next;
  });
  grpc::ClientContext context;
  auto reader = v1::EventService::NewStub(test.channel)->WatchEvents(&context, {});
  v1::Event event;
  int64_t expected = 0;
  while (reader->Read(&event)) CHECK(event.log_index() == ++expected);
  CHECK(reader->Finish().ok());
  CHECK(expected == 300);
}

TEST_CASE("rpc server: both sides of a stream talk at once") {
  TestServer test([](TestSink& sink) {
    sink.on_message = [&sink](const google::protobuf::Message& message) {
      v1::ConnectResponse response;
      response.mutable_lease_granted()->set_number(
          static_cast<const v1::ConnectRequest&>(message).heartbeat().number());
      sink.call->Write(response);
    };
    sink.on_written = [&sink] { sink.call->Read(); };
    sink.on_reads_done = [&sink] { sink.call->Finish(absl::OkStatus()); };
  });
  grpc::ClientContext context;
  auto stream = v1::LinkService::NewStub(test.channel)->Connect(&context);
  for (int i = 1; i <= 200; ++i) {
    v1::ConnectRequest request;
    request.mutable_heartbeat()->set_number(i);
    REQUIRE(stream->Write(request));
    v1::ConnectResponse response;
    REQUIRE(stream->Read(&response));
    CHECK(response.lease_granted().number() == i);
  }
  stream->WritesDone();
  CHECK(stream->Finish().ok());
}

TEST_CASE("rpc server: a caller that goes away or runs out of time is noticed") {
  auto done = std::make_shared<std::atomic<int>>(0);
  TestServer test([done](TestSink& sink) { sink.on_done = [done] { ++*done; }; });
  v1::Operation operation;
  CHECK(test.Get("operations/a", &operation, absl::Milliseconds(50)).code() ==
        absl::StatusCode::kDeadlineExceeded);
  CHECK(testing::WaitFor([&] { return *done == 1; }));
  grpc::ClientContext context;
  auto reader = v1::EventService::NewStub(test.channel)->WatchEvents(&context, {});
  context.TryCancel();
  CHECK(reader->Finish().error_code() == grpc::StatusCode::CANCELLED);
  CHECK(testing::WaitFor([&] { return *done == 2; }));
}

TEST_CASE("rpc server: a reader that reads nothing holds the writer back") {
  auto written = std::make_shared<std::atomic<int>>(0);
  TestServer test([written](TestSink& sink) {
    auto next = [&sink] {
      v1::Event event;
      event.set_name(std::string(64 << 10, 'x'));
      sink.call->Write(event);
    };
    sink.on_message = [next](const google::protobuf::Message&) { next(); };
    sink.on_written = [next, written] {
      ++*written;
      next();
    };
  });
  grpc::ClientContext context;
  auto reader = v1::EventService::NewStub(test.channel)->WatchEvents(&context, {});
  // Stands still once the windows are full: no change over many looks.
  int before = -1;
  int still = 0;
  REQUIRE(testing::WaitFor([&] {
    still = *written == before ? still + 1 : 0;
    before = *written;
    return before > 0 && still > 50;
  }));
  CHECK(*written < 200);  // 12.5 MiB: far above gRPC's largest window, far below "all it can".
  context.TryCancel();
}

TEST_CASE("rpc server: shutdown ends open calls within its grace, also with a write stuck") {
  auto done = std::make_shared<std::atomic<int>>(0);
  TestServer test([done](TestSink& sink) {
    auto next = [&sink] {
      v1::Event event;
      event.set_name(std::string(256 << 10, 'x'));
      sink.call->Write(event);
    };
    sink.on_message = [next](const google::protobuf::Message&) { next(); };
    sink.on_written = next;
    sink.on_done = [done] { ++*done; };
  });
  auto stub = v1::EventService::NewStub(test.channel);
  grpc::ClientContext contexts[3];
  std::vector<std::unique_ptr<grpc::ClientReader<v1::Event>>> readers;
  for (grpc::ClientContext& context : contexts) readers.push_back(stub->WatchEvents(&context, {}));
  v1::Event event;
  for (auto& reader : readers) REQUIRE(reader->Read(&event));
  const absl::Time start = absl::Now();
  test.server->Shutdown(absl::Milliseconds(200));
  CHECK(absl::Now() - start < absl::Seconds(8));
  CHECK(*done == 3);
}

TEST_CASE("rpc server: who connects and says nothing is hung up on") {
  ServerOptions options;
  options.handshake_timeout = absl::Milliseconds(300);
  TestServer test(EchoName, options);
  const UniqueFd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(test.server->port(0)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(silent.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  const timeval patience{20, 0};
  setsockopt(silent.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  char buffer[256];
  ssize_t got = 0;
  while ((got = recv(silent.get(), buffer, sizeof(buffer), 0)) > 0) {
  }
  CHECK((got == 0 || errno == ECONNRESET));
}

TEST_CASE("rpc server: a connection without calls is ended, and the next call makes another") {
  ServerOptions options;
  options.max_idle = absl::Milliseconds(300);
  TestServer test(EchoName, options);
  v1::Operation operation;
  REQUIRE(test.Get("operations/a", &operation).ok());
  CHECK(testing::WaitFor([&] { return test.channel->GetState(false) == GRPC_CHANNEL_IDLE; }));
  CHECK(test.Get("operations/b", &operation).ok());
}

TEST_CASE("rpc server: a port in use is told with its address") {
  TestServer test(EchoName);
  ServerOptions options;
  options.listeners = {
      {"127.0.0.1:" + std::to_string(test.server->port(0)), grpc::InsecureServerCredentials()}};
  const auto second = Server::Start(options, {});
  REQUIRE(!second.ok());
  CHECK(second.status().code() == absl::StatusCode::kUnavailable);
  CHECK(std::string(second.status().message()).find(options.listeners[0].address) !=
        std::string::npos);
}

}  // namespace
}  // namespace appsup::rpc
