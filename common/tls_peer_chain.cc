// FetchPeerChain of tls.h: a TLS client that looks at the peer's certificates and hangs up.
#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "absl/cleanup/cleanup.h"
#include "common/check.h"
#include "common/openssl_handles.h"
#include "common/status.h"
#include "common/tls.h"
#include "fmt/format.h"

namespace appsup {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr unsigned char kAlpnHttp2[] = {2, 'h', '2'};

// A connected socket with a deadline for all that is done with it.
class PeerSocket {
 public:
  PeerSocket(std::string peer, SteadyTime deadline) : peer_(std::move(peer)), deadline_(deadline) {}
  ~PeerSocket() { Close(); }
  PeerSocket(const PeerSocket&) = delete;
  PeerSocket& operator=(const PeerSocket&) = delete;

  absl::Status Connect(const addrinfo& address) {
    Close();
    fd_ = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return ErrnoError(errno, "socket");
    if (connect(fd_, address.ai_addr, address.ai_addrlen) == 0) return absl::OkStatus();
    if (errno != EINPROGRESS) return Unreachable(errno);
    RETURN_IF_ERROR(Await(POLLOUT));
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    return error == 0 ? absl::OkStatus() : Unreachable(error);
  }

  absl::Status Send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (errno == EAGAIN) {
        RETURN_IF_ERROR(Await(POLLOUT));
      } else if (errno != EINTR) {
        return Unreachable(errno);
      }
    }
    return absl::OkStatus();
  }

  // At least one byte, or nothing at the end of the stream.
  absl::StatusOr<std::string> Receive() {
    std::string buffer(16384, '\0');
    while (true) {
      ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      if (got >= 0) {
        buffer.resize(static_cast<size_t>(got));
        return buffer;
      }
      if (errno == EAGAIN) {
        RETURN_IF_ERROR(Await(POLLIN));
      } else if (errno != EINTR) {
        return Unreachable(errno);
      }
    }
  }

 private:
  absl::Status Await(short events) {
    pollfd entry{fd_, events, 0};
    while (true) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ -
                                                               std::chrono::steady_clock::now());
      int ready = left.count() <= 0 ? 0 : poll(&entry, 1, static_cast<int>(left.count()));
      if (ready > 0) return absl::OkStatus();
      if (ready < 0 && errno == EINTR) continue;
      if (ready < 0) return ErrnoError(errno, "poll");
      return absl::DeadlineExceededError(fmt::format("{} did not answer in time", peer_));
    }
  }

  absl::Status Unreachable(int error_number) const {
    return absl::UnavailableError(
        std::string(ErrnoError(error_number, "no connection with " + peer_).message()));
  }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  const std::string peer_;
  const SteadyTime deadline_;
  int fd_ = -1;
};

absl::Status ConnectToAny(const std::string& host, uint16_t port, PeerSocket* socket) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* addresses = nullptr;
  int failure = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &addresses);
  if (failure != 0) {
    return absl::UnavailableError(
        fmt::format("no address for {}: {}", host, gai_strerror(failure)));
  }
  absl::Cleanup release = [addresses] { freeaddrinfo(addresses); };
  absl::Status status;
  for (const addrinfo* address = addresses; address != nullptr; address = address->ai_next) {
    status = socket->Connect(*address);
    if (status.ok()) break;
  }
  return status;
}

absl::StatusOr<SslPtr> NewClient(const std::string& host) {
  SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return OpenSslError(absl::StatusCode::kInternal, "no TLS context");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SslPtr ssl(SSL_new(context.get()));
  if (ssl == nullptr) return OpenSslError(absl::StatusCode::kInternal, "no TLS session");
  SSL_set_alpn_protos(ssl.get(), kAlpnHttp2, sizeof kAlpnHttp2);
  in6_addr address;
  const bool is_ip = inet_pton(AF_INET, host.c_str(), &address) == 1 ||
                     inet_pton(AF_INET6, host.c_str(), &address) == 1;
  if (!is_ip) SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  // OpenSSL's own socket BIO would raise SIGPIPE; bytes go through memory and PeerSocket instead.
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl.get());
  return ssl;
}

absl::Status SendPending(SSL* ssl, PeerSocket* socket) {
  RETURN_IF_ERROR(socket->Send(BioText(SSL_get_wbio(ssl))));
  BIO_reset(SSL_get_wbio(ssl));
  return absl::OkStatus();
}

absl::Status ShakeHands(SSL* ssl, const std::string& peer, PeerSocket* socket) {
  while (true) {
    int done = SSL_do_handshake(ssl);
    int error = SSL_get_error(ssl, done);
    RETURN_IF_ERROR(SendPending(ssl, socket));
    if (done == 1) return absl::OkStatus();
    std::string received;
    if (error == SSL_ERROR_WANT_READ) {
      ASSIGN_OR_RETURN(received, socket->Receive());
    }
    if (received.empty()) {
      return OpenSslError(absl::StatusCode::kFailedPrecondition,
                          fmt::format("{} did not complete a TLS handshake", peer));
    }
    BIO_write(SSL_get_rbio(ssl), received.data(), static_cast<int>(received.size()));
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FetchPeerChain(const std::string& host, uint16_t port,
                                                        absl::Duration timeout) {
  const std::string peer = fmt::format("{} port {}", host, port);
  timeout = std::min(timeout, absl::Minutes(10));
  PeerSocket socket(peer, std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout));
  RETURN_IF_ERROR(ConnectToAny(host, port, &socket));
  ASSIGN_OR_RETURN(SslPtr ssl, NewClient(host));
  RETURN_IF_ERROR(ShakeHands(ssl.get(), peer, &socket));
  STACK_OF(X509)* certificates = SSL_get_peer_cert_chain(ssl.get());
  std::vector<std::string> chain;
  for (int i = 0; certificates != nullptr && i < sk_X509_num(certificates); ++i) {
    BioPtr bio(BIO_new(BIO_s_mem()));
    APPSUP_CHECK(PEM_write_bio_X509(bio.get(), sk_X509_value(certificates, i)) == 1);
    chain.push_back(BioText(bio.get()));
  }
  if (chain.empty()) {
    return absl::FailedPreconditionError(fmt::format("{} presented no certificate", peer));
  }
  return chain;
}

}  // namespace appsup
