// Nodes and the entry over the real link: mutual TLS on loopback.
#include <algorithm>
#include <catch2/catch.hpp>

#include "agent/link/channel.h"
#include "agent/link/link_blob_fetcher.h"
#include "appsupervisor/v1/artifact_service.grpc.pb.h"
#include "common/digest.h"
#include "common/join_token.h"
#include "common/rpc/grpc_status.h"
#include "common/status.h"
#include "tests/integration/link/entry_fixture.h"
#include "tests/support/wait.h"

namespace appsup::testing {
namespace {

namespace v1 = ::appsupervisor::v1;

absl::Status ConnectOnce(const std::string& entry, const agent::Identity& identity) {
  auto stub = v1::LinkService::NewStub(agent::MakeChannel(entry, identity, {}));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  auto stream = stub->Connect(&context);
  v1::ConnectResponse response;
  while (stream->Read(&response)) {
  }
  return rpc::FromGrpcStatus(stream->Finish());
}

void Revoke(EntryFixture& entry, const std::string& node) {
  grpc::ClientContext context;
  v1::RevokeNodeRequest request;
  request.set_name("nodes/" + node);
  v1::Node revoked;
  REQUIRE(v1::NodeService::NewStub(entry.Local())->RevokeNode(&context, request, &revoked).ok());
}

TEST_CASE("link: a node enrols with a token, connects, and is ready") {
  EntryFixture entry;
  const std::string identity = entry.EnrollNode("n1", "machine-1");
  LinkProbe agent("", identity, "machine-1");
  REQUIRE(WaitFor([&] { return agent.HasWelcome(); }));
  CHECK(agent.welcome().node() == "n1");
  CHECK_FALSE(agent.welcome().session_secret().empty());
  REQUIRE(WaitFor([&] { return entry.GetNode("n1").status().state() == v1::NODE_STATE_READY; }));
  CHECK(entry.GetNode("n1").status().certificate_expire_time().seconds() >
        absl::ToUnixSeconds(absl::Now() + absl::Hours(24 * 80)));
}

TEST_CASE("link: a join token works for one machine, and only at the entry that made it") {
  EntryFixture entry;
  const std::string token = entry.JoinToken();
  agent::EnrollOptions options;
  options.token = token;
  options.node_id = "n1";
  options.machine_id = "machine-1";
  REQUIRE(agent::Enroll(options).ok());
  REQUIRE(agent::Enroll(options).ok());  // The answer may have been lost.
  options.node_id = "n2";
  options.machine_id = "machine-2";
  CHECK(ErrorReason(agent::Enroll(options).status()) == "JOIN_TOKEN_INVALID");

  auto forged = DecodeJoinToken(token);
  forged->ca_fingerprint = std::string(64, '0');
  options.token = EncodeJoinToken(*forged);
  CHECK(ErrorReason(agent::Enroll(options).status()) == "OTHER_CA");
  options.entry = "127.0.0.1:1";
  CHECK(absl::IsUnavailable(agent::Enroll(options).status()));
}

TEST_CASE("link: without a node's certificate there is no stream and no blob") {
  EntryFixture entry;
  agent::Identity nobody = *agent::ReadIdentity(entry.EnrollNode("n1", "machine-1"));
  nobody.certificate_pem.clear();
  nobody.key_pem = Secret();
  CHECK(ErrorReason(ConnectOnce(entry.link_address(), nobody)) == "NODE_CERTIFICATE_REQUIRED");
  grpc::ClientContext context;
  v1::FetchBlobRequest request;
  request.set_name("blobs/" + Sha256Hex(""));
  auto stub = v1::LinkService::NewStub(agent::MakeChannel(entry.link_address(), nobody, {}));
  auto reader = stub->FetchBlob(&context, request);
  CHECK(reader->Finish().error_code() == grpc::StatusCode::UNAUTHENTICATED);
}

absl::Status FetchOnce(const std::string& entry, const agent::Identity& identity) {
  auto stub = v1::LinkService::NewStub(agent::MakeChannel(entry, identity, {}));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  v1::FetchBlobRequest request;
  request.set_name("blobs/" + Sha256Hex("none"));
  return rpc::FromGrpcStatus(stub->FetchBlob(&context, request)->Finish());
}

TEST_CASE("link: a revoked or deleted node gets no blob") {
  EntryFixture entry;
  const agent::Identity revoked = *agent::ReadIdentity(entry.EnrollNode("n1", "machine-1"));
  const agent::Identity deleted = *agent::ReadIdentity(entry.EnrollNode("n2", "machine-2"));
  CHECK(absl::IsNotFound(FetchOnce(entry.link_address(), revoked)));
  Revoke(entry, "n1");
  CHECK(ErrorReason(FetchOnce(entry.link_address(), revoked)) == "NODE_REVOKED");
  grpc::ClientContext context;
  v1::DeleteNodeRequest request;
  request.set_name("nodes/n2");
  google::protobuf::Empty nothing;
  REQUIRE(v1::NodeService::NewStub(entry.Local())->DeleteNode(&context, request, &nothing).ok());
  CHECK(ErrorReason(FetchOnce(entry.link_address(), deleted)) == "NODE_REVOKED");
}

TEST_CASE("link: a certificate of another CA does not get through the handshake") {
  EntryFixture entry;
  EntryFixture other;
  agent::Identity foreign = *agent::ReadIdentity(other.EnrollNode("n1", "machine-1"));
  foreign.ca_pem = entry.running().ca().certificate_pem();
  CHECK(absl::IsUnavailable(ConnectOnce(entry.link_address(), foreign)));
  agent::Identity distrusting = *agent::ReadIdentity(entry.EnrollNode("n1", "machine-1"));
  distrusting.ca_pem = other.running().ca().certificate_pem();
  CHECK(absl::IsUnavailable(ConnectOnce(entry.link_address(), distrusting)));
}

TEST_CASE("link: the stream comes back by itself after the entry was away") {
  EntryFixture entry;
  const std::string identity = entry.EnrollNode("n1", "machine-1");
  LinkProbe agent("", identity, "machine-1");
  REQUIRE(WaitFor([&] { return agent.HasWelcome(); }));
  const int64_t before = agent.welcome().incarnation();
  entry.Stop();
  REQUIRE(WaitFor([&] { return agent.downs() == 1; }));
  CHECK(agent.goodbye().reason().find("shutting down") != std::string::npos);
  entry.Start();
  REQUIRE(WaitFor([&] { return agent.welcome().incarnation() > before; }));
  CHECK(agent.ups() >= 2);
}

TEST_CASE("link: a clone of a node is refused while the node lives, and the node stays") {
  EntryFixture entry;
  const std::string identity = entry.EnrollNode("n1", "machine-1");
  LinkProbe agent("", identity, "machine-1");
  REQUIRE(WaitFor([&] { return agent.HasWelcome(); }));
  LinkProbe clone("", identity, "machine-2");
  REQUIRE(WaitFor([&] { return !clone.goodbye().reason().empty(); }));
  CHECK_FALSE(clone.HasWelcome());
  v1::ConnectRequest heartbeat;
  heartbeat.mutable_heartbeat()->set_number(1);
  agent.Send(heartbeat);
  CHECK(WaitFor([&] { return agent.Granted(1); }));
  CHECK(agent.downs() == 0);
}

TEST_CASE("link: a revoked node stays away until it is enrolled again") {
  EntryFixture entry;
  const std::string identity = entry.EnrollNode("n1", "machine-1");
  LinkProbe agent("", identity, "machine-1");
  REQUIRE(WaitFor([&] { return agent.HasWelcome(); }));
  Revoke(entry, "n1");
  REQUIRE(WaitFor([&] { return agent.downs() == 1; }));
  CHECK(agent.goodbye().final());
  CHECK(ErrorReason(
            agent::RenewIdentity(*agent::ReadIdentity(identity), "", absl::Seconds(10)).status()) ==
        "NODE_REVOKED");
  CHECK(agent.ups() == 1);
  entry.EnrollNode("n1", "machine-1");
  CHECK(WaitFor([&] { return agent.ups() == 2; }));
}

TEST_CASE("link: a certificate is renewed over a connection that shows the old one") {
  EntryFixture entry;
  const std::string folder = entry.EnrollNode("n1", "machine-1");
  LinkProbe agent("", folder, "machine-1");
  REQUIRE(WaitFor([&] { return agent.HasWelcome(); }));
  const agent::Identity before = *agent::ReadIdentity(folder);
  const auto renewed = agent::RenewIdentity(before, "", absl::Seconds(10));
  REQUIRE(renewed.ok());
  CHECK(agent::NodeOf(*renewed)->serial != agent::NodeOf(before)->serial);
  CHECK(agent::NodeOf(*renewed)->uid == agent::NodeOf(before)->uid);
  REQUIRE(agent::WriteIdentity(folder, *renewed).ok());
  agent.client().Reconnect();
  REQUIRE(WaitFor([&] { return agent.ups() == 2; }));
  CHECK(WaitFor([&] { return agent.welcome().incarnation() >= 2; }));
}

TEST_CASE("link: files of an identity are taken anew when they change, and errors are not kept") {
  EntryFixture entry;
  const std::string folder = entry.EnrollNode("n1", "machine-1");
  const agent::Identity before = *agent::ReadIdentity(folder);
  agent::IdentityReader reader(folder);
  const auto first = reader.Read();
  REQUIRE(first.ok());
  CHECK((*first)->node.node == "n1");
  CHECK(*reader.Read() == *first);
  const auto renewed = agent::RenewIdentity(before, "", absl::Seconds(10));
  REQUIRE(renewed.ok());
  agent::Identity mixed = before;
  mixed.certificate_pem = renewed->certificate_pem;
  REQUIRE(agent::WriteIdentity(folder, mixed).ok());
  CHECK(absl::IsFailedPrecondition(reader.Read().status()));
  REQUIRE(agent::WriteIdentity(folder, *renewed).ok());
  const auto second = reader.Read();
  REQUIRE(second.ok());
  CHECK((*second)->node.serial != (*first)->node.serial);
}

TEST_CASE("link: an agent fetches a blob whole, from an offset, and not one that is not there") {
  EntryFixture entry;
  std::string content;
  for (int i = 0; content.size() < (3 << 20); ++i) content += std::to_string(i) + "\n";
  const std::string sha256 = Sha256Hex(content);
  {
    grpc::ClientContext context;
    v1::Blob blob;
    auto writer = v1::ArtifactService::NewStub(entry.Local())->UploadBlob(&context, &blob);
    v1::UploadBlobRequest request;
    request.set_sha256(sha256);
    writer->Write(request);
    for (size_t at = 0; at < content.size(); at += 1 << 20) {
      request.set_data(content.substr(at, 1 << 20));
      writer->Write(request);
    }
    writer->WritesDone();
    REQUIRE(writer->Finish().ok());
  }
  agent::LinkBlobFetcher fetcher("", entry.EnrollNode("n1", "machine-1"));
  std::string got;
  int64_t size = 0;
  agent::BlobFetcher::Sink sink;
  sink.on_size = [&](int64_t value) { size = value; };
  sink.on_data = [&](std::string_view data) {
    got.append(data);
    return absl::OkStatus();
  };
  sink.cancelled = [] { return false; };
  REQUIRE(fetcher.FetchBlob(sha256, 0, sink).ok());
  CHECK(size == static_cast<int64_t>(content.size()));
  CHECK(got == content);
  got.clear();
  REQUIRE(fetcher.FetchBlob(sha256, 1'000'000, sink).ok());
  CHECK(got == content.substr(1'000'000));
  CHECK(absl::IsNotFound(fetcher.FetchBlob(Sha256Hex("none"), 0, sink)));
  sink.on_data = [](std::string_view) { return absl::ResourceExhaustedError("disk full"); };
  CHECK(absl::IsResourceExhausted(fetcher.FetchBlob(sha256, 0, sink)));
}

// Heartbeats are answered by the core over the whole way: stream, core thread, stream.
absl::Duration MedianRoundTrip(LinkProbe& agent, absl::Duration gap, int count, int64_t* number) {
  std::vector<absl::Duration> times;
  for (int i = 0; i < count; ++i) {
    const absl::Time until = absl::Now() + gap;
    WaitFor([&] { return absl::Now() >= until; });
    v1::ConnectRequest heartbeat;
    heartbeat.mutable_heartbeat()->set_number(++*number);
    const absl::Time start = absl::Now();
    agent.Send(heartbeat);
    while (!agent.Granted(*number) && absl::Now() - start < absl::Seconds(5)) {
    }
    times.push_back(absl::Now() - start);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

TEST_CASE("link: the first message after a quiet time is not much slower than one in a burst") {
  EntryFixture entry;
  LinkProbe agent("", entry.EnrollNode("n1", "machine-1"), "machine-1");
  REQUIRE(WaitFor([&] { return agent.HasWelcome(); }));
  int64_t number = 0;
  const absl::Duration burst = MedianRoundTrip(agent, absl::ZeroDuration(), 50, &number);
  const absl::Duration idle = MedianRoundTrip(agent, absl::Milliseconds(1300), 3, &number);
  INFO("burst " << absl::FormatDuration(burst) << ", idle " << absl::FormatDuration(idle));
  CHECK(idle < 10 * burst + absl::Milliseconds(20));
}

}  // namespace
}  // namespace appsup::testing
