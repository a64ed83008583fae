#include <catch2/catch.hpp>

#include "appsupervisor/v1/environment_service.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "appsupervisor/v1/project_service.pb.h"
#include "common/status.h"
#include "google/protobuf/empty.pb.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

namespace appsup::entry {
namespace {

using google::protobuf::Empty;

std::string Token(CoreHarness& entry, const std::string& environment) {
  api::CreateEnrollmentTokenRequest request;
  request.set_environment(environment);
  auto token = entry.Call<api::EnrollmentToken>("NodeService/CreateEnrollmentToken", request);
  REQUIRE(token.ok());
  return token->token();
}

api::EnrollRequest Enroll(const std::string& token, const std::string& node,
                          const std::string& machine) {
  api::EnrollRequest request;
  request.set_join_token(token);
  request.set_node_id(node);
  request.set_machine_id(machine);
  return request;
}

absl::StatusOr<api::EnrollResponse> Send(CoreHarness& entry, const api::EnrollRequest& request) {
  return entry.Call<api::EnrollResponse>("LinkService/Enroll", request);
}

template <class Response, class Request>
absl::StatusOr<Response> OnNode(CoreHarness& entry, const std::string& method,
                                const std::string& node) {
  Request request;
  request.set_name("nodes/" + node);
  return entry.Call<Response>("NodeService/" + method, request);
}

api::Node Get(CoreHarness& entry, const std::string& node) {
  auto found = OnNode<api::Node, api::GetNodeRequest>(entry, "GetNode", node);
  REQUIRE(found.ok());
  return *found;
}

TEST_CASE("enrolment: a token makes one node, and its machine may ask again") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  const std::string token = Token(entry, "eu");
  auto first = Send(entry, Enroll(token, "n1", "m1"));
  REQUIRE(first.ok());
  CHECK(first->node() == "nodes/n1");
  CHECK(first->environment() == "eu");
  auto again = Send(entry, Enroll(token, "n1", "m1"));
  REQUIRE(again.ok());
  CHECK(again->node_uid() == first->node_uid());
  CHECK(ErrorReason(Send(entry, Enroll(token, "n2", "m1")).status()) == "JOIN_TOKEN_INVALID");
  CHECK(ErrorReason(Send(entry, Enroll(token, "n1", "m2")).status()) == "JOIN_TOKEN_INVALID");
  CHECK(entry.catalog().nodes.rows().size() == 1);
}

TEST_CASE("enrolment: unknown and expired tokens are refused, and only digests are kept") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  CHECK(ErrorReason(Send(entry, Enroll("guess", "n1", "m1")).status()) == "JOIN_TOKEN_INVALID");
  const std::string token = Token(entry, "eu");
  for (const auto& [key, record] : entry.catalog().tokens.rows()) {
    CHECK(key.size() == 64);
    CHECK((key + record.SerializeAsString()).find(token) == std::string::npos);
  }
  entry.Advance(absl::Minutes(61));
  CHECK(ErrorReason(Send(entry, Enroll(token, "n1", "m1")).status()) == "JOIN_TOKEN_INVALID");
  CHECK(entry.catalog().tokens.rows().empty());
}

TEST_CASE("enrolment: faults of the request and of the token's request are named") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  CHECK(FieldsOf(Send(entry, Enroll("x", "N1", "")).status()) ==
        std::vector<std::string>{"node_id", "machine_id"});
  api::CreateEnrollmentTokenRequest request;
  request.set_environment("eu");
  request.mutable_ttl()->set_seconds(8 * 24 * 3600);
  CHECK(FieldsOf(entry.Call<api::EnrollmentToken>("NodeService/CreateEnrollmentToken", request)
                     .status()) == std::vector<std::string>{"ttl"});
  request.clear_ttl();
  request.set_environment("mars");
  CHECK(absl::IsNotFound(
      entry.Call<api::EnrollmentToken>("NodeService/CreateEnrollmentToken", request).status()));
}

TEST_CASE("enrolment: a node id belongs to its machine until it is free") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  auto stranger = Send(entry, Enroll(Token(entry, "eu"), "n1", "other"));
  CHECK(absl::IsAlreadyExists(stranger.status()));
  CHECK(stranger.status().message().find("--node-id") != absl::string_view::npos);
  const std::string uid = Get(entry, "n1").uid();
  const SessionId session = entry.Connect("n1");
  CHECK(ErrorReason(Send(entry, Enroll(Token(entry, "eu"), "n1", "machine-n1")).status()) ==
        "NODE_ID_TAKEN");
  entry.Disconnect(session);
  auto anew = Send(entry, Enroll(Token(entry, "eu"), "n1", "machine-n1"));
  REQUIRE(anew.ok());
  CHECK(anew->node_uid() != uid);
}

TEST_CASE("enrolment: a certificate is renewed unless its node is revoked") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  entry.principal.name = "node:n1";
  CHECK(Send(entry, api::EnrollRequest())->node() == "nodes/n1");
  entry.principal.name = "token:admin";
  REQUIRE(OnNode<api::Node, api::RevokeNodeRequest>(entry, "RevokeNode", "n1").ok());
  entry.principal.name = "node:n1";
  CHECK(ErrorReason(Send(entry, api::EnrollRequest()).status()) == "NODE_REVOKED");
}

TEST_CASE("nodes: only labels and schedulable can be updated") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  api::UpdateNodeRequest update;
  update.mutable_node()->set_name("nodes/n1");
  update.mutable_node()->set_environment("mars");
  update.mutable_node()->set_schedulable(false);
  (*update.mutable_node()->mutable_labels())["disk"] = "ssd";
  auto node = entry.Call<api::Node>("NodeService/UpdateNode", update);
  REQUIRE(node.ok());
  CHECK(node->environment() == "eu");
  CHECK_FALSE(node->schedulable());
  CHECK(node->labels().at("disk") == "ssd");
  update.mutable_node()->set_etag("\"old\"");
  CHECK(absl::IsAborted(entry.Call<api::Node>("NodeService/UpdateNode", update).status()));
}

TEST_CASE("nodes: a drain is an operation that ends when the node is empty; resume ends it") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  PlayedAgent agent(entry, "n1");
  auto drain = OnNode<api::Operation, api::DrainNodeRequest>(entry, "DrainNode", "n1");
  REQUIRE(drain.ok());
  agent.Run();
  CHECK(GetOperation(entry, drain->name())->done());
  CHECK(Get(entry, "n1").status().state() == api::NODE_STATE_DRAINED);
  CHECK(OnNode<api::Operation, api::DrainNodeRequest>(entry, "DrainNode", "n1")->done());
  REQUIRE(OnNode<api::Node, api::ResumeNodeRequest>(entry, "ResumeNode", "n1").ok());
  agent.Run();
  CHECK(Get(entry, "n1").status().state() == api::NODE_STATE_READY);

  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
  agent.Run();
  drain = OnNode<api::Operation, api::DrainNodeRequest>(entry, "DrainNode", "n1");
  agent.Run();
  CHECK_FALSE(GetOperation(entry, drain->name())->done());  // There is no other node.
  auto same = OnNode<api::Operation, api::DrainNodeRequest>(entry, "DrainNode", "n1");
  CHECK(same->name() == drain->name());
  REQUIRE(OnNode<api::Node, api::ResumeNodeRequest>(entry, "ResumeNode", "n1").ok());
  CHECK(GetOperation(entry, drain->name())->error().code() ==
        static_cast<int>(absl::StatusCode::kAborted));
}

TEST_CASE("nodes: a node that holds instances is not deleted unless it is revoked") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  PlayedAgent agent(entry, "n1");
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
  agent.Run();
  auto refused = OnNode<Empty, api::DeleteNodeRequest>(entry, "DeleteNode", "n1");
  CHECK(ErrorReason(refused.status()) == "NODE_IN_USE");
  auto revoked = OnNode<api::Node, api::RevokeNodeRequest>(entry, "RevokeNode", "n1");
  REQUIRE(revoked.ok());
  CHECK(revoked->status().state() == api::NODE_STATE_REVOKED);
  agent.Run();
  CHECK(agent.fake.closed);
  CHECK(OnNode<Empty, api::DeleteNodeRequest>(entry, "DeleteNode", "n1").ok());
  CHECK(entry.catalog().instances.rows().empty());
  CHECK(GetApp(entry, "web")->status().state() == api::APP_STATE_PENDING);
}

TEST_CASE("environments: sums are those of the nodes, and a used one is not deleted") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  entry.AddNode("n2", "eu");
  PlayedAgent agent(entry, "n1");
  api::GetEnvironmentRequest get;
  get.set_name("environments/eu");
  auto environment = entry.Call<api::Environment>("EnvironmentService/GetEnvironment", get);
  REQUIRE(environment.ok());
  CHECK(environment->status().nodes() == 2);
  CHECK(environment->status().ready_nodes() == 1);
  CHECK(environment->status().capacity().cpu_millis() == 4000);
  api::DeleteEnvironmentRequest remove;
  remove.set_name("environments/eu");
  const auto reason = [&] {
    return ErrorReason(entry.Call<Empty>("EnvironmentService/DeleteEnvironment", remove).status());
  };
  CHECK(reason() == "ENVIRONMENT_IN_USE");
  entry.AddEnvironment("us");
  api::CreateAppRequest app = NewApp("web");
  app.mutable_app()->mutable_spec()->mutable_placement()->add_environments("us");
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", app).ok());
  remove.set_name("environments/us");
  CHECK(reason() == "ENVIRONMENT_IN_USE");
  entry.AddEnvironment("asia");
  remove.set_name("environments/asia");
  CHECK(reason().empty());
  CHECK(entry.catalog().environments.Find("environments/asia") == nullptr);
}

TEST_CASE("projects: one with apps, and the default one, are not deleted") {
  CoreHarness entry;
  api::CreateProjectRequest create;
  create.set_project_id("shop");
  REQUIRE(entry.Call<api::Project>("ProjectService/CreateProject", create).ok());
  CHECK(absl::IsAlreadyExists(
      entry.Call<api::Project>("ProjectService/CreateProject", create).status()));
  api::CreateAppRequest app = NewApp("web");
  app.set_parent("projects/shop");
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", app).ok());
  api::DeleteProjectRequest remove;
  remove.set_name("projects/shop");
  CHECK(ErrorReason(entry.Call<Empty>("ProjectService/DeleteProject", remove).status()) ==
        "PROJECT_NOT_EMPTY");
  api::DeleteAppRequest purge;
  purge.set_name("projects/shop/apps/web");
  purge.set_purge(true);
  REQUIRE(entry.Call<api::Operation>("AppService/DeleteApp", purge).ok());
  CHECK(entry.Call<Empty>("ProjectService/DeleteProject", remove).ok());
  CHECK(entry.catalog().operations.rows().empty());
  remove.set_name("projects/default");
  CHECK(ErrorReason(entry.Call<Empty>("ProjectService/DeleteProject", remove).status()) ==
        "DEFAULT_PROJECT");
}

}  // namespace
}  // namespace appsup::entry
