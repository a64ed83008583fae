#include "common/tls.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/openssl_handles.h"

namespace appsup {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1700000000);
const absl::Time kEnd = kStart + absl::Hours(24 * 365 * 10);

CertificateAuthority NewCa(const std::string& name = "Test CA") {
  auto ca = CreateCa(name, kStart, kEnd);
  REQUIRE(ca.ok());
  return *std::move(ca);
}

SignOptions ForNode() {
  return {.common_name = "eu-1",
          .uri_sans = {"appsup://node/eu-1"},
          .dns_sans = {"eu-1.example"},
          .ip_sans = {"127.0.0.1", "::1"},
          .not_before = kStart,
          .not_after = kStart + absl::Hours(24),
          .server = true,
          .client = true};
}

struct Leaf {
  Secret key_pem;
  std::string certificate_pem;
};

Leaf NewLeaf(const CertificateAuthority& ca, const SignOptions& options = ForNode()) {
  auto request = CreateKeyAndCsr("asked-for");
  REQUIRE(request.ok());
  auto certificate = SignCsr(ca, request->csr_pem, options);
  REQUIRE(certificate.ok());
  return {request->key_pem, *certificate};
}

// Listens on a free port of 127.0.0.1 and treats one visitor as `serve` says.
class OneVisitorServer {
 public:
  template <class Serve>
  explicit OneVisitorServer(Serve serve) {
    // OpenSSL writes with write(2), perhaps to a visitor that has left.
    signal(SIGPIPE, SIG_IGN);
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(fd_, 1) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, serve] {
      int visitor = accept(fd_, nullptr, nullptr);
      serve(visitor);
      char drained[4096];
      while (read(visitor, drained, sizeof drained) > 0) {
      }
      close(visitor);
    });
  }
  ~OneVisitorServer() {
    thread_.join();
    close(fd_);
  }
  uint16_t port() const { return port_; }

 private:
  int fd_;
  uint16_t port_;
  std::thread thread_;
};

int PickHttp2(SSL*, const unsigned char** out, unsigned char* out_length,
              const unsigned char* offered, unsigned offered_length, void* picked) {
  static const unsigned char kHttp2[] = {2, 'h', '2'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, kHttp2, sizeof kHttp2, offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  *static_cast<bool*>(picked) = true;
  return SSL_TLSEXT_ERR_OK;
}

// A server as gRPC's: leaf and root in its chain, h2 only, a client certificate wanted.
void ServeTls(int visitor, const Leaf& leaf, const std::string& root_pem, bool* saw_http2) {
  CertificatePtr certificate;
  CertificatePtr root;
  KeyPtr key;
  if (!ReadPem(leaf.certificate_pem, &certificate).ok() || !ReadPem(root_pem, &root).ok() ||
      !ReadPem(leaf.key_pem.Reveal(), &key).ok()) {
    return;
  }
  SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_use_certificate(context.get(), certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), key.get());
  SSL_CTX_add_extra_chain_cert(context.get(), root.release());
  SSL_CTX_set_alpn_select_cb(context.get(), PickHttp2, saw_http2);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SslPtr ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), visitor);
  SSL_accept(ssl.get());
}

}  // namespace

TEST_CASE("tls: a CA certificate says that it is one and how long") {
  auto info = GetCertificateInfo(NewCa().certificate_pem);
  REQUIRE(info.ok());
  CHECK(info->common_name == "Test CA");
  CHECK(info->issuer_common_name == "Test CA");
  CHECK(info->is_ca);
  CHECK(info->not_before == kStart);
  CHECK(info->not_after == kEnd);
  CHECK(info->fingerprint.size() == 64);
  CHECK(info->serial.size() == 32);
}

TEST_CASE("tls: the expiry alone is the one that the whole certificate says") {
  const CertificateAuthority ca = NewCa();
  for (const int years : {1, 30, 100}) {  // From 2050 on it is written in another form.
    SignOptions options = ForNode();
    options.not_after = kStart + years * absl::Hours(24 * 365);
    const std::string pem = NewLeaf(ca, options).certificate_pem;
    CHECK(GetExpiry(pem).value() == options.not_after);
    CHECK(GetExpiry(pem + ca.certificate_pem).value() == GetCertificateInfo(pem)->not_after);
  }
  const std::string request = CreateKeyAndCsr("x")->csr_pem;
  for (const std::string& pem : {std::string(), std::string("x"), request, ca.key_pem.Reveal()}) {
    CHECK(absl::IsInvalidArgument(GetExpiry(pem).status()));
  }
}

TEST_CASE("tls: the expiry of a certificate that ends anywhere is not read from behind its end") {
  CertificatePtr certificate;
  REQUIRE(ReadPem(NewCa().certificate_pem, &certificate).ok());
  std::string der(static_cast<size_t>(i2d_X509(certificate.get(), nullptr)), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate.get(), &out);
  for (size_t length = 0; length < der.size(); ++length) {
    const std::vector<unsigned char> begin(der.data(), der.data() + length);
    const BioPtr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio(bio.get(), PEM_STRING_X509, "", begin.data(), static_cast<long>(length));
    CHECK_FALSE(GetExpiry(BioText(bio.get())).ok());
  }
}

TEST_CASE("tls: a signed certificate says what the signer chose, not what was asked for") {
  CertificateAuthority ca = NewCa();
  Leaf leaf = NewLeaf(ca);
  auto info = GetCertificateInfo(leaf.certificate_pem);
  REQUIRE(info.ok());
  CHECK(info->common_name == "eu-1");
  CHECK(info->issuer_common_name == "Test CA");
  CHECK(info->uri_sans == std::vector<std::string>{"appsup://node/eu-1"});
  CHECK(info->dns_sans == std::vector<std::string>{"eu-1.example"});
  CHECK(info->ip_sans == std::vector<std::string>{"127.0.0.1", "::1"});
  CHECK(info->not_after == kStart + absl::Hours(24));
  CHECK_FALSE(info->is_ca);
  CHECK(GetCertificateInfo(NewLeaf(ca).certificate_pem)->serial != info->serial);
}

TEST_CASE("tls: the usage is what was asked for") {
  CertificateAuthority ca = NewCa();
  SignOptions options = ForNode();
  options.server = false;
  CertificatePtr certificate;
  REQUIRE(ReadPem(NewLeaf(ca, options).certificate_pem, &certificate).ok());
  CHECK(X509_check_purpose(certificate.get(), X509_PURPOSE_SSL_CLIENT, 0) == 1);
  CHECK(X509_check_purpose(certificate.get(), X509_PURPOSE_SSL_SERVER, 0) == 0);
}

TEST_CASE("tls: OpenSSL's own verification accepts the chain") {
  CertificateAuthority ca = NewCa();
  CertificatePtr root;
  CertificatePtr leaf;
  REQUIRE(ReadPem(ca.certificate_pem, &root).ok());
  REQUIRE(ReadPem(NewLeaf(ca).certificate_pem, &leaf).ok());
  std::unique_ptr<X509_STORE, OpenSslFree<X509_STORE_free>> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), root.get());
  X509_STORE_set_flags(store.get(), X509_V_FLAG_X509_STRICT);
  std::unique_ptr<X509_STORE_CTX, OpenSslFree<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_STORE_CTX_set_time(context.get(), 0, absl::ToTimeT(kStart + absl::Hours(1)));
  X509_verify_cert(context.get());
  CHECK(std::string(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))) ==
        "ok");
}

TEST_CASE("tls: what belongs together is told from what does not") {
  CertificateAuthority ca = NewCa();
  CertificateAuthority namesake = NewCa();
  Leaf leaf = NewLeaf(ca);
  CHECK(CheckIssuedBy(leaf.certificate_pem, ca.certificate_pem).ok());
  CHECK(CheckIssuedBy(leaf.certificate_pem, namesake.certificate_pem).code() ==
        absl::StatusCode::kFailedPrecondition);
  CHECK_FALSE(CheckIssuedBy(leaf.certificate_pem, leaf.certificate_pem).ok());
  CHECK(CheckKeyMatches(leaf.certificate_pem, leaf.key_pem).ok());
  CHECK(CheckKeyMatches(leaf.certificate_pem, ca.key_pem).code() ==
        absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("tls: bad input is refused") {
  CertificateAuthority ca = NewCa();
  auto request = CreateKeyAndCsr("x");
  REQUIRE(request.ok());
  const auto refused = absl::StatusCode::kInvalidArgument;
  CHECK(SignCsr(ca, "no pem", ForNode()).status().code() == refused);
  CHECK(SignCsr(ca, ca.certificate_pem, ForNode()).status().code() == refused);
  std::string broken = request->csr_pem;
  broken[broken.size() / 2] = broken[broken.size() / 2] == 'A' ? 'B' : 'A';
  CHECK(SignCsr(ca, broken, ForNode()).status().code() == refused);
  SignOptions options = ForNode();
  options.ip_sans = {"not an address"};
  CHECK(SignCsr(ca, request->csr_pem, options).status().code() == refused);
  options = ForNode();
  options.uri_sans = {std::string("a\0b", 3)};
  CHECK(SignCsr(ca, request->csr_pem, options).status().code() == refused);
  options = ForNode();
  options.not_after = options.not_before;
  CHECK(SignCsr(ca, request->csr_pem, options).status().code() == refused);
  options = ForNode();
  options.server = options.client = false;
  CHECK(SignCsr(ca, request->csr_pem, options).status().code() == refused);
  CHECK(CreateCa("", kStart, kEnd).status().code() == refused);
  CHECK(CreateKeyAndCsr(std::string(65, 'x')).status().code() == refused);
  CHECK(GetCertificateInfo("").status().code() == refused);
}

TEST_CASE("tls: a chain is split into its certificates") {
  CertificateAuthority ca = NewCa();
  std::string leaf = NewLeaf(ca).certificate_pem;
  auto chain = SplitPemChain("comment\n" + leaf + "\n" + ca.certificate_pem);
  REQUIRE(chain.ok());
  CHECK(*chain == std::vector<std::string>{leaf, ca.certificate_pem});
  CHECK_FALSE(SplitPemChain("").ok());
  CHECK_FALSE(SplitPemChain(leaf.substr(0, leaf.size() / 2)).ok());
}

TEST_CASE("tls: the chain of an unknown server is fetched, root included") {
  CertificateAuthority ca = NewCa();
  Leaf leaf = NewLeaf(ca);
  bool saw_http2 = false;
  absl::StatusOr<std::vector<std::string>> chain;
  {
    OneVisitorServer server(
        [&](int visitor) { ServeTls(visitor, leaf, ca.certificate_pem, &saw_http2); });
    chain = FetchPeerChain("127.0.0.1", server.port(), absl::Seconds(20));
  }
  REQUIRE(chain.ok());
  CHECK(*chain == std::vector<std::string>{leaf.certificate_pem, ca.certificate_pem});
  CHECK(saw_http2);
}

TEST_CASE("tls: servers give no session tickets once the process has its defaults") {
  SetTlsDefaults();
  const SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  CHECK(SSL_CTX_get_num_tickets(context.get()) == 0);
  CHECK(SSL_CTX_get_min_proto_version(context.get()) == TLS1_2_VERSION);
}

TEST_CASE("tls: a peer that speaks no TLS, says nothing or is not there is told apart") {
  {
    OneVisitorServer server(
        [](int visitor) { send(visitor, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL); });
    CHECK(FetchPeerChain("127.0.0.1", server.port(), absl::Seconds(20)).status().code() ==
          absl::StatusCode::kFailedPrecondition);
  }
  {
    OneVisitorServer server([](int visitor) { shutdown(visitor, SHUT_WR); });
    CHECK(FetchPeerChain("127.0.0.1", server.port(), absl::Seconds(20)).status().code() ==
          absl::StatusCode::kFailedPrecondition);
  }
  uint16_t port = 0;
  {
    OneVisitorServer server([](int) {});
    port = server.port();
    CHECK(FetchPeerChain("127.0.0.1", port, absl::Milliseconds(50)).status().code() ==
          absl::StatusCode::kDeadlineExceeded);
  }
  CHECK(FetchPeerChain("127.0.0.1", port, absl::Seconds(20)).status().code() ==
        absl::StatusCode::kUnavailable);
  CHECK(FetchPeerChain("no.such.host.invalid", 1, absl::Seconds(20)).status().code() ==
        absl::StatusCode::kUnavailable);
}

}  // namespace appsup
