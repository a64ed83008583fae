#include "entry/security/ca.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "common/file.h"
#include "entry/security/node_identity.h"
#include "tests/support/temp_dir.h"

namespace appsup::entry {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

std::string ServerSerial(const std::string& state_dir) {
  return GetCertificateInfo(*ReadFile(ServerTlsFiles(state_dir).certificate))->serial;
}

TEST_CASE("ca: is made once, with a key for its owner only, and found again") {
  testing::TempDir dir;
  const std::string state = dir.path().string();
  CHECK(absl::IsNotFound(Ca::Open(state).status()));
  const auto ca = Ca::OpenOrCreate(state, kNow);
  REQUIRE(ca.ok());
  struct stat info {};
  REQUIRE(stat((state + "/ca/ca.key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(Ca::OpenOrCreate(state, kNow)->fingerprint() == ca->fingerprint());
  CHECK(absl::IsAlreadyExists(Ca::Create(state, kNow).status()));
  CHECK(GetCertificateInfo(ca->certificate_pem())->not_after == kNow + kCaLife);
}

TEST_CASE("ca: a node's certificate says who it is and nothing that the request asked for") {
  testing::TempDir dir;
  const auto ca = Ca::OpenOrCreate(dir.path().string(), kNow);
  const auto request = CreateKeyAndCsr("nodes/admin");
  const auto certificate = ca->SignNode(request->csr_pem, "eu-1", "uid-7", kNow);
  REQUIRE(certificate.ok());
  CHECK(CheckIssuedBy(*certificate, ca->certificate_pem()).ok());
  CHECK(CheckKeyMatches(*certificate, request->key_pem).ok());
  const auto info = GetCertificateInfo(*certificate);
  CHECK(info->common_name == "eu-1");
  CHECK(*NodeFromUris(info->uri_sans) == NodeIdentity{"eu-1", "uid-7"});
  CHECK(info->not_after == kNow + kNodeCertificateLife);
  CHECK_FALSE(info->is_ca);
  CHECK(absl::IsInvalidArgument(ca->SignNode("no request", "eu-1", "u", kNow).status()));
}

TEST_CASE("ca: the server certificate is renewed in its last third and for new names only") {
  testing::TempDir dir;
  const std::string state = dir.path().string();
  const auto ca = Ca::OpenOrCreate(state, kNow);
  REQUIRE(ca->EnsureServerCertificate(state, {"entry.example", "10.0.0.7"}, kNow).ok());
  const auto info = GetCertificateInfo(*ReadFile(ServerTlsFiles(state).certificate));
  CHECK(std::count(info->dns_sans.begin(), info->dns_sans.end(), "appsup-entry") == 1);
  CHECK(std::count(info->dns_sans.begin(), info->dns_sans.end(), "entry.example") == 1);
  CHECK(std::count(info->ip_sans.begin(), info->ip_sans.end(), "10.0.0.7") == 1);

  const std::string first = info->serial;
  REQUIRE(ca->EnsureServerCertificate(state, {"10.0.0.7"}, kNow + kServerCertificateLife / 2).ok());
  CHECK(ServerSerial(state) == first);
  REQUIRE(ca->EnsureServerCertificate(state, {"10.0.0.8"}, kNow).ok());
  const std::string second = ServerSerial(state);
  CHECK(second != first);
  REQUIRE(
      ca->EnsureServerCertificate(state, {"10.0.0.8"}, kNow + kServerCertificateLife * 0.7).ok());
  CHECK(ServerSerial(state) != second);
  CHECK(SplitPemChain(*ReadFile(ServerTlsFiles(state).certificate))->size() == 2);
}

TEST_CASE("ca: a server certificate that was made by a clock that was ahead is made anew") {
  testing::TempDir dir;
  const std::string state = dir.path().string();
  const auto ca = Ca::OpenOrCreate(state, kNow);
  const absl::Duration year = absl::Hours(365 * 24);
  REQUIRE(ca->EnsureServerCertificate(state, {}, kNow + year).ok());
  REQUIRE(ca->EnsureServerCertificate(state, {}, kNow).ok());
  const auto info = GetCertificateInfo(*ReadFile(ServerTlsFiles(state).certificate));
  CHECK(info->not_before <= kNow);
  CHECK(info->not_after == kNow + kServerCertificateLife);
}

TEST_CASE("node identity: exactly one URI of the right form is accepted") {
  CHECK(*NodeFromUris({"appsup://node/n1/u1"}) == NodeIdentity{"n1", "u1"});
  CHECK(NodeUri({"n1", "u1"}) == "appsup://node/n1/u1");
  const std::vector<std::vector<std::string>> refused = {
      {},
      {"appsup://node/n1/u1", "appsup://node/n2/u2"},
      {"appsup://node/n1"},
      {"appsup://node/n1/"},
      {"appsup://node//u1"},
      {"appsup://node/n1/u1/x"},
      {"appsup://node/N1/u1"},
      {"https://node/n1/u1"}};
  for (const auto& uris : refused) {
    CHECK(NodeFromUris(uris).status().code() == absl::StatusCode::kUnauthenticated);
  }
}

}  // namespace
}  // namespace appsup::entry
