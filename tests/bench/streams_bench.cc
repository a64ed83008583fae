// Peers for the measurements of memory, which need the server in a process of its own:
//   streams_bench server DIR             the bare server with mutual TLS; prints its port
//   streams_bench bare DIR PORT COUNT    COUNT connections with one silent stream each
//   streams_bench enroll SOCKET LINK DIR COUNT   makes nodes of an entry; identities go to DIR
//   streams_bench agents LINK DIR COUNT  these nodes as agents whose instances all run
// Each prints "ready" when it is, and ends when its standard input does.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <vector>

#include "agent/link/enroll.h"
#include "agent/link/identity.h"
#include "appsupervisor/v1/link.pb.h"
#include "appsupervisor/v1/node_service.grpc.pb.h"
#include "common/mutex.h"
#include "common/rpc/credentials.h"
#include "fmt/format.h"
#include "tests/bench/support/bare_server.h"
#include "tests/bench/support/certificates.h"
#include "tests/bench/support/must.h"
#include "tests/bench/support/stream_client.h"
#include "tests/support/wait.h"

namespace appsup::bench {
namespace {

namespace api = ::appsupervisor::v1;

std::string NodeId(int number) { return fmt::format("bench-{}", number); }

void ReadyUntilStdinEnds() {
  fmt::print("ready\n");
  std::fflush(stdout);
  std::string ignored;
  while (std::getline(std::cin, ignored)) {
  }
}

void Serve(const std::string& dir) {
  const Certificates certificates(dir);
  const BareServer server(certificates.Server(), 100);
  fmt::print("{}\n", server.port());
  ReadyUntilStdinEnds();
}

void OpenBare(const std::string& dir, const std::string& port, int count) {
  const Certificates certificates(dir);
  StreamClient client("/bench/Stream", [](size_t, const grpc::ByteBuffer&) {});
  for (int i = 0; i < count; ++i) {
    client.Open("127.0.0.1:" + port, certificates.Node(NodeId(i)), ToBytes(std::string(100, 'x')));
  }
  APPSUP_CHECK(testing::WaitFor([&] { return client.received() >= count; }, absl::Minutes(2)));
  ReadyUntilStdinEnds();
}

void Enroll(const std::string& socket, const std::string& link, const std::string& dir, int count) {
  auto stub = api::NodeService::NewStub(
      grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()));
  for (int i = 0; i < count; ++i) {
    grpc::ClientContext context;
    api::CreateEnrollmentTokenRequest request;
    request.set_environment("bench");
    api::EnrollmentToken token;
    const grpc::Status status = stub->CreateEnrollmentToken(&context, request, &token);
    APPSUP_CHECK(status.ok(), status.error_message());
    agent::EnrollOptions options;
    options.entry = link;
    options.token = token.token();
    options.node_id = NodeId(i);
    options.machine_id = "machine-" + NodeId(i);
    const agent::Enrolled enrolled = Must(agent::Enroll(options));
    const absl::Status written = agent::WriteIdentity(dir + "/" + NodeId(i), enrolled.identity);
    APPSUP_CHECK(written.ok(), written.ToString());
  }
}

// Agents that do at once what they are told, without processes.
class Agents {
 public:
  Agents(const std::string& link, const std::string& dir, int count)
      : client_(
            "/appsupervisor.v1.LinkService/Connect",
            [this](size_t stream, const grpc::ByteBuffer& bytes) { OnMessage(stream, bytes); }) {
    for (int i = 0; i < count; ++i) {
      const agent::Identity identity = Must(agent::ReadIdentity(dir + "/" + NodeId(i)));
      api::ConnectRequest hello;
      hello.mutable_hello()->set_machine_id("machine-" + NodeId(i));
      hello.mutable_hello()->set_address("127.0.0.1");
      hello.mutable_hello()->mutable_capacity()->set_memory_bytes(int64_t{64} << 30);
      hello.mutable_hello()->mutable_capacity()->set_cpu_millis(64'000);
      hello.mutable_hello()->add_drivers()->set_name("process");
      client_.Open(link,
                   rpc::PemChannelCredentials(identity.ca_pem, identity.certificate_pem,
                                              identity.key_pem.Reveal()),
                   ToBytes(hello));
    }
    beat_ = std::thread([this] { Beat(); });
  }
  ~Agents() {
    {
      MutexLock lock(&mutex_);
      ends_ = true;
      changed_.Signal();
    }
    beat_.join();
  }

  void WaitUntilTold() {
    const auto told = [this] { return client_.received() >= 2 * static_cast<int>(client_.size()); };
    APPSUP_CHECK(testing::WaitFor(told, absl::Minutes(2)));
  }

 private:
  void Beat() {
    int64_t number = 0;
    MutexLock lock(&mutex_);
    while (!ends_) {
      api::ConnectRequest request;
      request.mutable_heartbeat()->set_number(++number);
      for (size_t i = 0; i < client_.size(); ++i) client_.Send(i, ToBytes(request));
      changed_.WaitFor(&mutex_, absl::Seconds(3));
    }
  }

  void OnMessage(size_t stream, const grpc::ByteBuffer& bytes) {
    api::ConnectResponse message;
    Parse(bytes, &message);
    if (!message.has_assignments()) return;
    api::ConnectRequest applied;
    applied.mutable_assignments_applied()->set_version(message.assignments().version());
    client_.Send(stream, ToBytes(applied));
    api::ConnectRequest report;
    for (const api::Assignment& assignment : message.assignments().assignments()) {
      api::InstanceStatus& status = *report.mutable_status()->add_instances();
      const bool runs = assignment.desired() == api::DESIRED_STATE_RUN;
      status.set_uid(assignment.uid());
      status.set_attempt(runs ? 1 : 0);
      status.set_sequence(++sequence_);
      status.set_state(runs ? api::INSTANCE_STATE_RUNNING : api::INSTANCE_STATE_REMOVED);
      status.set_ready(runs);
      status.set_generation(assignment.generation());
      status.set_app_generation(assignment.app_generation());
      status.set_pid(runs ? 4711 : 0);
    }
    if (report.has_status()) client_.Send(stream, ToBytes(report));
  }

  Mutex mutex_;
  CondVar changed_;
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t sequence_ = 0;  // Client's thread.
  StreamClient client_;
  std::thread beat_;
};

int Main(const std::vector<std::string>& args) {
  const auto count = [&] { return std::atoi(args.back().c_str()); };
  if (args.size() == 2 && args[0] == "server") {
    Serve(args[1]);
  } else if (args.size() == 4 && args[0] == "bare") {
    OpenBare(args[1], args[2], count());
  } else if (args.size() == 5 && args[0] == "enroll") {
    Enroll(args[1], args[2], args[3], count());
  } else if (args.size() == 4 && args[0] == "agents") {
    Agents agents(args[1], args[2], count());
    agents.WaitUntilTold();
    ReadyUntilStdinEnds();
  } else {
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace appsup::bench

int main(int argc, char** argv) {
  return appsup::bench::Main(std::vector<std::string>(argv + 1, argv + argc));
}
