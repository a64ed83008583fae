// One command after two seconds of silence: a call of the API of a whole entry, and a command to an
// agent over the link; each beside the same with gRPC alone, after the same silence.
#include <functional>
#include <thread>

#include "appsupervisor/v1/link.pb.h"
#include "appsupervisor/v1/project_service.pb.h"
#include "common/file.h"
#include "common/mutex.h"
#include "entry/entry.h"
#include "tests/bench/support/bare_server.h"
#include "tests/bench/support/certificates.h"
#include "tests/bench/support/link_entry.h"
#include "tests/bench/support/must.h"
#include "tests/bench/support/report.h"
#include "tests/bench/support/stream_client.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace appsup::bench {
namespace {

namespace api = ::appsupervisor::v1;

constexpr int kRounds = 12;
constexpr auto kSilence = std::chrono::seconds(2);
constexpr char kGetProject[] = "/appsupervisor.v1.ProjectService/GetProject";

double Silently(const std::function<double()>& call) {
  std::this_thread::sleep_for(kSilence);
  return call() * 1e6;
}

std::unique_ptr<entry::Entry> StartEntry(const std::string& root) {
  entry::EntryConfig config = Must(entry::ReadEntryConfig("", root, false));
  config.api_listen = config.link_listen = "127.0.0.1:0";
  config.http_listen = "";
  config.api_socket_group = "";
  return Must(entry::Entry::Start(
      config, [](const absl::Status& status) { APPSUP_CHECK(status.ok(), status.ToString()); }));
}

void MeasureApi(const std::string& root) {
  const std::unique_ptr<entry::Entry> entry = StartEntry(root);
  std::string token = Must(ReadFile(entry->config().state_dir + "/admin.token"));
  while (!token.empty() && token.back() == '\n') token.pop_back();
  std::this_thread::sleep_for(std::chrono::seconds(1));  // Until it leads.
  UnaryClient ours("127.0.0.1:" + std::to_string(entry->api_port()), kGetProject, token);
  api::GetProjectRequest request;
  request.set_name("projects/default");
  const grpc::ByteBuffer bytes = ToBytes(request);
  ours.Call(bytes);

  BareServer server(grpc::InsecureServerCredentials(), 100);
  UnaryClient bare(server.address(), "/bench/Unary", token);
  bare.Call(bytes);

  Comparison comparison{"quiet/api-call", "us", {}, {}};
  for (int round = 0; round < kRounds; ++round) {
    comparison.ours.push_back(Silently([&] { return ours.Call(bytes); }));
    comparison.bare.push_back(Silently([&] { return bare.Call(bytes); }));
  }
  Print(comparison);
  entry->Shutdown(absl::ZeroDuration());
}

// An agent that holds nothing: takes what it is told, answers commands with OK.
class Agent {
 public:
  Agent(const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials)
      : client_("/appsupervisor.v1.LinkService/Connect",
                [this](size_t, const grpc::ByteBuffer& bytes) { OnMessage(bytes); }) {
    api::ConnectRequest hello;
    hello.mutable_hello()->set_machine_id("machine");
    client_.Open(address, std::move(credentials), ToBytes(hello));
  }
  bool told() const { return client_.received() >= 2; }

 private:
  void OnMessage(const grpc::ByteBuffer& bytes) {
    api::ConnectResponse message;
    Parse(bytes, &message);
    api::ConnectRequest answer;
    if (message.has_assignments()) {
      answer.mutable_assignments_applied()->set_version(message.assignments().version());
    } else if (message.has_command()) {
      answer.mutable_command_result()->set_id(message.command().id());
      answer.mutable_command_result()->mutable_status();
    } else {
      return;
    }
    client_.Send(0, ToBytes(answer));
  }

  StreamClient client_;
};

// The bare reference: a message there and back.
class BarePing {
 public:
  BarePing(const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials)
      : client_("/bench/Stream", [this](size_t, const grpc::ByteBuffer&) { Came(); }) {
    client_.Open(address, std::move(credentials), ToBytes(std::string(100, 'x')));
    Wait(1);
  }

  double Call() {
    const double begin = Now();
    const int64_t next = client_.received() + 1;
    client_.Send(0, ToBytes(std::string(100, 'x')));
    Wait(next);
    return Now() - begin;
  }

 private:
  void Came() {
    MutexLock lock(&mutex_);
    ++came_;
    changed_.Signal();
  }
  void Wait(int64_t count) {
    MutexLock lock(&mutex_);
    while (came_ < count) changed_.Wait(&mutex_);
  }

  Mutex mutex_;
  CondVar changed_;
  int64_t came_ ABSL_GUARDED_BY(mutex_) = 0;
  StreamClient client_;
};

void MeasureLink(const std::string& dir) {
  const Certificates certificates(dir);
  LinkEntry entry(certificates.Server(), 1);
  Agent agent(entry.address(), certificates.Node("n0"));
  APPSUP_CHECK(testing::WaitFor([&] { return agent.told(); }));
  BareServer server(certificates.Server(), 100);
  BarePing bare(server.address(), certificates.Node("n0"));

  Comparison comparison{"quiet/agent-command", "us", {}, {}};
  for (int round = 0; round < kRounds; ++round) {
    comparison.ours.push_back(Silently([&] { return entry.Command(0); }));
    comparison.bare.push_back(Silently([&] { return bare.Call(); }));
  }
  Print(comparison);
}

}  // namespace
}  // namespace appsup::bench

int main() {
  appsup::testing::TempDir dir;
  appsup::bench::MeasureApi(dir.File("entry"));
  appsup::bench::MeasureLink(dir.File("link"));
  return 0;
}
