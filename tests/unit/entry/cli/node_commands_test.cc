// `appsup nodes …` against an entry that knows nodes and nothing else.
#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "appsupervisor/v1/node_service.grpc.pb.h"
#include "common/mutex.h"
#include "common/rpc/grpc_status.h"
#include "common/status.h"
#include "entry/cli/program.h"
#include "tests/support/temp_dir.h"

namespace appsup::cli {
namespace {

namespace v1 = ::appsupervisor::v1;
using grpc::ServerContext;

constexpr char kGuard[] = "Node n1 follows another catalog.";

// n1 and n2 are guarded, n3 is not. Thread-safe.
class Nodes : public v1::NodeService::Service {
 public:
  grpc::Status AcceptCatalog(ServerContext*, const v1::AcceptCatalogRequest* request,
                             v1::AcceptCatalogResponse* answer) override {
    MutexLock lock(&mutex);
    requests.push_back(*request);
    if (request->name() == "nodes/n3") {
      return rpc::ToGrpcStatus(MakeError(absl::StatusCode::kFailedPrecondition, "NODE_NOT_GUARDED",
                                         "nodes/n3 is not guarded"));
    }
    answer->add_nodes("nodes/n1");
    if (request->name() == "nodes/-") answer->add_nodes("nodes/n2");
    return grpc::Status::OK;
  }
  grpc::Status ListNodes(ServerContext*, const v1::ListNodesRequest*,
                         v1::ListNodesResponse* answer) override {
    Fill(*answer->add_nodes());
    return grpc::Status::OK;
  }
  grpc::Status GetNode(ServerContext*, const v1::GetNodeRequest*, v1::Node* answer) override {
    Fill(*answer);
    return grpc::Status::OK;
  }

  Mutex mutex;
  std::vector<v1::AcceptCatalogRequest> requests ABSL_GUARDED_BY(mutex);

 private:
  static void Fill(v1::Node& node) {
    node.set_name("nodes/n1");
    node.mutable_status()->set_state(v1::NODE_STATE_GUARDED);
    v1::Condition& reachable = *node.mutable_status()->add_conditions();
    reachable.set_type("Reachable");
    reachable.set_status(v1::CONDITION_STATUS_TRUE);
    reachable.set_message("Its agent is connected.");
    v1::Condition& accepted = *node.mutable_status()->add_conditions();
    accepted.set_type("CatalogAccepted");
    accepted.set_status(v1::CONDITION_STATUS_FALSE);
    accepted.set_message(kGuard);
  }
};

class NodeBench {
 public:
  NodeBench() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + dir_.File("api.sock"), grpc::InsecureServerCredentials());
    builder.RegisterService(&nodes);
    server_ = builder.BuildAndStart();
    REQUIRE(server_ != nullptr);
  }
  ~NodeBench() { server_->Shutdown(); }

  int Run(const std::vector<std::string>& arguments) {
    Surroundings surroundings;
    surroundings.server = "unix:" + dir_.File("api.sock");
    std::istringstream in;
    std::ostringstream out_stream, err_stream;
    SystemClock clock;
    SeededRandom random(1);
    const int code = RunProgram(arguments, surroundings, in, out_stream, err_stream, clock, random);
    out = out_stream.str();
    err = err_stream.str();
    return code;
  }

  Nodes nodes;
  std::string out;
  std::string err;

 private:
  testing::TempDir dir_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_CASE("nodes: accept is for one node, or all, and can be repeated safely") {
  NodeBench bench;
  CHECK(bench.Run({"nodes", "accept", "n1"}) == 0);
  CHECK(bench.out == "n1: follows this catalog from now on\n");
  CHECK(bench.Run({"nodes", "accept", "--all"}) == 0);
  CHECK(bench.out ==
        "n1: follows this catalog from now on\nn2: follows this catalog from now on\n");
  CHECK(bench.Run({"nodes", "accept", "--all", "-o", "name"}) == 0);
  MutexLock lock(&bench.nodes.mutex);
  REQUIRE(bench.nodes.requests.size() == 3);
  CHECK(bench.nodes.requests[0].name() == "nodes/n1");
  CHECK(bench.nodes.requests[1].name() == "nodes/-");
  CHECK_FALSE(bench.nodes.requests[0].request_id().empty());
}

TEST_CASE("nodes: accept says what is wrong, and asks for exactly one of NODE and --all") {
  NodeBench bench;
  CHECK(bench.Run({"nodes", "accept"}) == 2);
  CHECK(bench.err.find("--all") != std::string::npos);
  CHECK(bench.Run({"nodes", "accept", "n1", "--all"}) == 2);
  CHECK(bench.Run({"nodes", "accept", "n3"}) != 0);
  CHECK(bench.err.find("nodes/n3 is not guarded") != std::string::npos);
  MutexLock lock(&bench.nodes.mutex);
  CHECK(bench.nodes.requests.size() == 1);
}

TEST_CASE("nodes: a guarded node is shown with the reason") {
  NodeBench bench;
  CHECK(bench.Run({"get", "nodes"}) == 0);
  CHECK(bench.out.find("GUARDED") != std::string::npos);
  CHECK(bench.out.find(kGuard) != std::string::npos);
  bench.Run({"describe", "node", "n1"});  // This bench has no instances to list.
  CHECK(bench.out.find("CatalogAccepted") != std::string::npos);
  CHECK(bench.out.find(kGuard) != std::string::npos);
}

}  // namespace
}  // namespace appsup::cli
