// Assignment round trips over 64 mutual TLS connections: an assignment changed → Assignments →
// AssignmentsApplied → the next change. Beside it messages of the same sizes, both ways over as
// many connections with the same TLS, between the same client and a server that is gRPC alone.
#include <thread>

#include "appsupervisor/v1/link.pb.h"
#include "fmt/format.h"
#include "tests/bench/support/bare_server.h"
#include "tests/bench/support/certificates.h"
#include "tests/bench/support/link_entry.h"
#include "tests/bench/support/ping_pong.h"
#include "tests/bench/support/report.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace appsup::bench {
namespace {

namespace api = ::appsupervisor::v1;

constexpr int kConnections = 64;
constexpr char kConnect[] = "/appsupervisor.v1.LinkService/Connect";

std::string Hello(const std::string& node) {
  api::ConnectRequest request;
  request.mutable_hello()->set_machine_id("machine-" + node);
  return request.SerializeAsString();
}

// The first message is Welcome; each further one is the next version of what should be.
std::string Applied(int64_t n, const grpc::ByteBuffer&) {
  if (n == 0) return "";
  api::ConnectRequest request;
  request.mutable_assignments_applied()->set_version(n);
  return request.SerializeAsString();
}

double Rate(PingPong& streams, double seconds) {
  streams.Resume();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // Until it is at its speed.
  const double begin = Now();
  const int64_t before = streams.client().received();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const double rate = static_cast<double>(streams.client().received() - before) / (Now() - begin);
  streams.Pause();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // Until it is quiet.
  APPSUP_CHECK(streams.client().ended() == 0, "a stream was ended");
  return rate;
}

void Measure(int rounds, double seconds, bool with_bare) {
  testing::TempDir dir;
  const Certificates certificates(dir.path().string());
  LinkEntry entry(certificates.Server(), kConnections);
  entry.KeepChanging();
  PingPong ours(kConnect, Applied);
  ours.Expect(kConnections);
  ours.Pause();
  for (int i = 0; i < kConnections; ++i) {
    const std::string id = fmt::format("n{}", i);
    ours.client().Open(entry.address(), certificates.Node(id), ToBytes(Hello(id)));
  }
  const bool open = testing::WaitFor([&] { return ours.client().received() >= 2 * kConnections; });
  APPSUP_CHECK(open, "not all agents were told what to do");
  Rate(ours, 0.2);  // The sizes are known now.

  const std::string answer(ours.last_answer_bytes(), 'x');
  BareServer server(certificates.Server(), ours.last_message_bytes());
  PingPong bare("/bench/Stream", [&](int64_t, const grpc::ByteBuffer&) { return answer; });
  bare.Expect(kConnections);
  bare.Pause();
  for (int i = 0; i < kConnections; ++i) {
    bare.client().Open(server.address(), certificates.Node(fmt::format("n{}", i)), ToBytes(answer));
  }
  APPSUP_CHECK(testing::WaitFor([&] { return bare.client().received() >= kConnections; }));

  Comparison comparison{"link/round-trips", "1/s", {}, {}};
  for (int round = 0; round < rounds; ++round) {
    comparison.ours.push_back(Rate(ours, seconds));
    if (with_bare) comparison.bare.push_back(Rate(bare, seconds));
  }
  Print(comparison);
  fmt::print(stderr, "{} B to the agent, {} B back\n", ours.last_message_bytes(),
             ours.last_answer_bytes());
}

}  // namespace
}  // namespace appsup::bench

// `link_bench profile` runs ours alone, for a profiler.
int main(int argc, char**) {
  const bool profile = argc > 1;
  appsup::bench::Measure(profile ? 1 : 7, profile ? 10 : 1.5, !profile);
  return 0;
}
