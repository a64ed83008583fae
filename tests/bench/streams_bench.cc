// Peers for the measurements of memory, which need the server in a process of its own:
//   streams_bench server DIR             the bare server with mutual TLS; prints its port
//   streams_bench bare DIR PORT COUNT [SECONDS]   COUNT connections with one stream each; says as
//                                        much as a heartbeat on each every SECONDS, or nothing more
//   streams_bench open DIR COUNT         prints how many seconds it takes until COUNT connections
//   to
//                                        the bare server have had an answer, and ends
//   streams_bench enroll SOCKET LINK DIR COUNT   makes nodes of an entry; identities go to DIR
//   streams_bench agents LINK DIR COUNT  these nodes as agents whose instances all run
// Each prints "ready" when it is, and ends when its standard input does.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/link/identity.h"
#include "appsupervisor/v1/link.pb.h"
#include "common/check.h"
#include "common/mutex.h"
#include "common/rpc/credentials.h"
#include "fmt/format.h"
#include "tests/bench/support/bare_server.h"
#include "tests/bench/support/certificates.h"
#include "tests/bench/support/must.h"
#include "tests/bench/support/nodes.h"
#include "tests/bench/support/report.h"
#include "tests/bench/support/stream_client.h"
#include "tests/support/wait.h"

namespace appsup::bench {
namespace {

namespace api = ::appsupervisor::v1;

std::string NodeId(int number) { return bench::NodeId("bench", number); }

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

// As many bytes as a heartbeat without usage, whose answer is as long as a granted lease.
api::ConnectRequest Beat() {
  api::ConnectRequest request;
  request.mutable_heartbeat()->set_number(1000);
  return request;
}

void OpenBare(const std::string& dir, const std::string& port, int count, double period) {
  const Certificates certificates(dir);
  StreamClient client("/bench/Stream", [](size_t, const grpc::ByteBuffer&) {});
  for (int i = 0; i < count; ++i) {
    client.Open("127.0.0.1:" + port, certificates.Node(NodeId(i)), ToBytes(std::string(100, 'x')));
  }
  APPSUP_CHECK(testing::WaitFor([&] { return client.received() >= count; }, absl::Minutes(2)));
  std::atomic<bool> ends = false;
  std::thread beats([&] {
    const auto step = std::chrono::duration<double>(period / count);
    for (size_t n = 0; period > 0 && !ends; ++n) {
      client.Send(n % client.size(), ToBytes(Beat()));
      std::this_thread::sleep_for(step);
    }
  });
  ReadyUntilStdinEnds();
  ends = true;
  beats.join();
}

void TimeToOpen(const std::string& dir, int count) {
  const Certificates certificates(dir);
  std::vector<std::shared_ptr<grpc::ChannelCredentials>> nodes;
  for (int i = 0; i < count; ++i) nodes.push_back(certificates.Node(NodeId(i)));
  const BareServer server(certificates.Server(), 100);
  StreamClient client("/bench/Stream", [](size_t, const grpc::ByteBuffer&) {});
  const double begin = Now();
  for (const auto& node : nodes) {
    client.Open(server.address(), node, ToBytes(std::string(100, 'x')));
  }
  APPSUP_CHECK(testing::WaitFor([&] { return client.received() >= count; }, absl::Minutes(2)));
  fmt::print("{:.6f}\n", Now() - begin);
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
    beat_ = std::thread([this] { KeepBeating(); });
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
  void KeepBeating() {
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
  const auto is = [&](const char* command, size_t size) {
    return args.size() == size && args[0] == command;
  };
  if (is("server", 2)) {
    Serve(args[1]);
  } else if (is("bare", 4) || is("bare", 5)) {
    OpenBare(args[1], args[2], std::stoi(args[3]), args.size() == 5 ? std::stod(args[4]) : 0);
  } else if (is("open", 3)) {
    TimeToOpen(args[1], std::stoi(args[2]));
  } else if (is("enroll", 5)) {
    EnrollNodes({args[1], args[2], args[3], "bench", "bench", std::stoi(args[4])});
  } else if (is("agents", 4)) {
    Agents agents(args[1], args[2], std::stoi(args[3]));
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
