// The entry's public API over its real doors.
#include <catch2/catch.hpp>

#include "appsupervisor/v1/artifact_service.grpc.pb.h"
#include "appsupervisor/v1/event_service.grpc.pb.h"
#include "common/digest.h"
#include "common/rpc/credentials.h"
#include "common/rpc/grpc_status.h"
#include "common/status.h"
#include "common/tls.h"
#include "tests/integration/link/entry_fixture.h"
#include "tests/support/wait.h"

namespace appsup::testing {
namespace {

namespace v1 = ::appsupervisor::v1;

absl::Status ListEnvironments(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& authorization) {
  grpc::ClientContext context;
  if (!authorization.empty()) context.AddMetadata("authorization", authorization);
  v1::ListEnvironmentsResponse response;
  return rpc::FromGrpcStatus(
      v1::EnvironmentService::NewStub(channel)->ListEnvironments(&context, {}, &response));
}

absl::Status CreateEnvironment(const std::shared_ptr<grpc::Channel>& channel, const std::string& id,
                               v1::Environment* environment) {
  grpc::ClientContext context;
  v1::CreateEnvironmentRequest request;
  request.set_environment_id(id);
  return rpc::FromGrpcStatus(
      v1::EnvironmentService::NewStub(channel)->CreateEnvironment(&context, request, environment));
}

absl::StatusOr<v1::Blob> Upload(const std::shared_ptr<grpc::Channel>& channel,
                                const std::string& sha256, const std::string& content) {
  grpc::ClientContext context;
  v1::Blob blob;
  auto writer = v1::ArtifactService::NewStub(channel)->UploadBlob(&context, &blob);
  v1::UploadBlobRequest request;
  request.set_sha256(sha256);
  bool going = writer->Write(request);
  for (size_t at = 0; going && at < content.size(); at += 1 << 20) {
    request.set_data(content.substr(at, 1 << 20));
    going = writer->Write(request);
  }
  writer->WritesDone();
  const absl::Status status = rpc::FromGrpcStatus(writer->Finish());
  if (!status.ok()) return status;
  return blob;
}

TEST_CASE("api: TCP wants a token, the unix socket knows who calls") {
  EntryFixture entry;
  CHECK(ListEnvironments(entry.Local(), "").ok());
  const auto tcp = entry.Tcp();
  CHECK(ErrorReason(ListEnvironments(tcp, "")) == "TOKEN_REQUIRED");
  CHECK(ErrorReason(ListEnvironments(tcp, "Bearer wrong")) == "TOKEN_UNKNOWN");
  CHECK(ErrorReason(ListEnvironments(tcp, "Basic " + entry.AdminToken())) == "TOKEN_UNKNOWN");
  CHECK(ListEnvironments(tcp, "Bearer " + entry.AdminToken()).ok());
}

TEST_CASE("api: a socket_group that is missing ends the start, unless it is the default") {
  TempDir dir;
  auto config = entry::ReadEntryConfig("", dir.File("root"), false);
  REQUIRE(config.ok());
  config->api_listen = config->http_listen = "";
  config->link_listen = "127.0.0.1:0";
  config->api_socket_group = "no-such-group";
  const absl::Status status = entry::Entry::Start(*config, [](const absl::Status&) {}).status();
  CHECK(absl::IsNotFound(status));
  CHECK_THAT(status.ToString(), Catch::Contains("no group no-such-group"));
  config->api_socket_group = entry::EntryConfig::kDefaultSocketGroup;
  CHECK(entry::Entry::Start(*config, [](const absl::Status&) {}).ok());
}

TEST_CASE("api: with TLS the entry proves itself by its CA, and a renewed certificate is served") {
  EntryFixture entry([](entry::EntryConfig& config) { config.api_tls = true; });
  const std::string state_dir = entry.running().config().state_dir;
  const entry::Ca& ca = entry.running().ca();
  auto connect = [&](const std::string& ca_pem) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(entry.running().api_port()),
                                     rpc::PemChannelCredentials(ca_pem, "", ""), arguments);
  };
  const std::string bearer = "Bearer " + entry.AdminToken();
  CHECK(ListEnvironments(connect(ca.certificate_pem()), bearer).ok());
  CHECK(ErrorReason(ListEnvironments(connect(ca.certificate_pem()), "")) == "TOKEN_REQUIRED");
  const auto stranger = CreateCa("AppSupervisor CA", absl::Now(), absl::Now() + absl::Hours(1));
  CHECK(absl::IsUnavailable(ListEnvironments(connect(stranger->certificate_pem), bearer)));

  auto served = [&] {
    const auto chain = FetchPeerChain(
        "127.0.0.1", static_cast<uint16_t>(entry.running().api_port()), absl::Seconds(5));
    return chain.ok() && !chain->empty() ? GetCertificateInfo(chain->front())->serial : "";
  };
  const std::string before = served();
  REQUIRE_FALSE(before.empty());
  REQUIRE(ca.EnsureServerCertificate(state_dir, {"a-new-name"}, absl::Now()).ok());
  CHECK(WaitFor([&] { return !served().empty() && served() != before; }));
  CHECK(ListEnvironments(connect(ca.certificate_pem()), bearer).ok());
}

TEST_CASE("api: a deadline that is days away is refused; none is fine") {
  EntryFixture entry;
  const auto stub = v1::EnvironmentService::NewStub(entry.Local());
  auto list = [&](absl::Duration deadline) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    v1::ListEnvironmentsResponse response;
    return rpc::FromGrpcStatus(stub->ListEnvironments(&context, {}, &response));
  };
  CHECK(list(absl::Minutes(90)).ok());
  CHECK(ErrorReason(list(absl::Hours(72))) == "DEADLINE_TOO_LONG");
  CHECK(ListEnvironments(entry.Local(), "").ok());
}

TEST_CASE("api: a change is answered, seen by others and outlives the entry") {
  EntryFixture entry;
  v1::Environment made;
  REQUIRE(CreateEnvironment(entry.Local(), "eu", &made).ok());
  CHECK(made.name() == "environments/eu");
  CHECK(absl::IsAlreadyExists(CreateEnvironment(entry.Local(), "eu", &made)));
  entry.Stop();
  entry.Start();
  CHECK(absl::IsAlreadyExists(CreateEnvironment(entry.Local(), "eu", &made)));
}

TEST_CASE("api: what is wrong with a request comes back field by field") {
  EntryFixture entry;
  v1::Environment made;
  const absl::Status status = CreateEnvironment(entry.Local(), "Not An Id", &made);
  CHECK(absl::IsInvalidArgument(status));
  REQUIRE(GetFieldViolations(status).size() == 1);
  CHECK(GetFieldViolations(status)[0].field == "environment_id");
}

TEST_CASE("api: a watcher sees the present state and then every change, over a quiet time too") {
  EntryFixture entry;
  const auto channel = entry.Local();
  grpc::ClientContext context;
  v1::WatchEventsRequest request;
  request.add_kinds("Environment");
  auto reader = v1::EventService::NewStub(channel)->WatchEvents(&context, request);
  v1::Event event;
  while (reader->Read(&event) && event.type() != v1::EVENT_TYPE_SNAPSHOT_END) {
  }
  REQUIRE(event.type() == v1::EVENT_TYPE_SNAPSHOT_END);
  v1::Environment made;
  REQUIRE(CreateEnvironment(channel, "eu", &made).ok());
  REQUIRE(reader->Read(&event));
  CHECK(event.type() == v1::EVENT_TYPE_CREATED);
  CHECK(event.name() == "environments/eu");
  CHECK(event.actor().rfind("local:", 0) == 0);
  context.TryCancel();
}

TEST_CASE("api: calls that are open when the entry ends get UNAVAILABLE") {
  EntryFixture entry;
  const auto channel = entry.Local();
  grpc::ClientContext context;
  auto reader = v1::EventService::NewStub(channel)->WatchEvents(&context, {});
  v1::Event event;
  REQUIRE(reader->Read(&event));
  entry.Stop();
  while (reader->Read(&event)) {
  }
  CHECK(reader->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("api: a blob is stored under its digest, once, and a wrong digest stores nothing") {
  EntryFixture entry;
  const auto channel = entry.Local();
  std::string content;
  for (int i = 0; content.size() < (5 << 20); ++i) content += std::to_string(i) + " lines of it\n";
  const std::string sha256 = Sha256Hex(content);
  CHECK(absl::IsInvalidArgument(Upload(channel, Sha256Hex("other"), content).status()));
  const auto blob = Upload(channel, sha256, content);
  REQUIRE(blob.ok());
  CHECK(blob->name() == "blobs/" + sha256);
  CHECK(blob->size() == static_cast<int64_t>(content.size()));
  const auto again = Upload(channel, sha256, "");
  REQUIRE(again.ok());
  CHECK(again->name() == blob->name());

  auto stub = v1::ArtifactService::NewStub(channel);
  grpc::ClientContext get_context, list_context;
  v1::GetBlobRequest get;
  get.set_name("blobs/" + Sha256Hex("other"));
  v1::Blob got;
  CHECK(stub->GetBlob(&get_context, get, &got).error_code() == grpc::StatusCode::NOT_FOUND);
  v1::ListBlobsResponse list;
  REQUIRE(stub->ListBlobs(&list_context, {}, &list).ok());
  REQUIRE(list.blobs_size() == 1);
  CHECK(list.blobs(0).name() == blob->name());
}

}  // namespace
}  // namespace appsup::testing
