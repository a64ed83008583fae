#include "tests/bench/support/nodes.h"

#include <atomic>
#include <thread>
#include <vector>

#include "agent/link/enroll.h"
#include "agent/link/identity.h"
#include "appsupervisor/v1/node_service.grpc.pb.h"
#include "common/check.h"
#include "fmt/format.h"
#include "grpcpp/grpcpp.h"
#include "tests/bench/support/must.h"

namespace appsup::bench {
namespace {

namespace api = ::appsupervisor::v1;

constexpr int kAtOnce = 4;

void Enroll(const NodesToEnroll& nodes, api::NodeService::Stub& stub, const std::string& id) {
  grpc::ClientContext context;
  api::CreateEnrollmentTokenRequest request;
  request.set_environment(nodes.environment);
  api::EnrollmentToken token;
  const grpc::Status status = stub.CreateEnrollmentToken(&context, request, &token);
  APPSUP_CHECK(status.ok(), status.error_message());
  agent::EnrollOptions options;
  options.entry = nodes.link;
  options.token = token.token();
  options.node_id = id;
  options.machine_id = "machine-" + id;
  const agent::Enrolled enrolled = Must(agent::Enroll(options));
  const absl::Status written = agent::WriteIdentity(nodes.dir + "/" + id, enrolled.identity);
  APPSUP_CHECK(written.ok(), written.ToString());
}

}  // namespace

std::string NodeId(const std::string& prefix, int number) {
  return fmt::format("{}-{}", prefix, number);
}

void EnrollNodes(const NodesToEnroll& nodes) {
  const auto stub = api::NodeService::NewStub(
      grpc::CreateChannel("unix:" + nodes.socket, grpc::InsecureChannelCredentials()));
  std::atomic<int> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kAtOnce; ++i) {
    threads.emplace_back([&] {
      for (int n = next++; n < nodes.count; n = next++)
        Enroll(nodes, *stub, NodeId(nodes.prefix, n));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace appsup::bench
