#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/secret.h"

namespace appsup {

// Certificates of the system's own CA, by OpenSSL. Keys are ECDSA P-256; everything is PEM.
// Thread-safe. Times are passed in, as everywhere.

struct CertificateAuthority {
  std::string certificate_pem;
  Secret key_pem;
};

struct KeyAndCsr {
  Secret key_pem;
  std::string csr_pem;
};

struct SignOptions {
  // Exactly what the certificate will say: names that the request asks for are ignored, as is its
  // subject when `common_name` is set.
  std::string common_name;
  std::vector<std::string> uri_sans;  // A node's identity: "appsup://node/eu-1".
  std::vector<std::string> dns_sans;
  std::vector<std::string> ip_sans;  // "127.0.0.1", "::1".
  absl::Time not_before;
  absl::Time not_after;
  bool server = false;  // Extended key usage.
  bool client = false;
};

struct CertificateInfo {
  std::string common_name;
  std::string issuer_common_name;
  std::vector<std::string> uri_sans;
  std::vector<std::string> dns_sans;
  std::vector<std::string> ip_sans;
  absl::Time not_before;
  absl::Time not_after;
  bool is_ca = false;
  std::string serial;       // Lower-case hex.
  std::string fingerprint;  // SHA-256 of the DER form, lower-case hex.
};

absl::StatusOr<CertificateAuthority> CreateCa(std::string_view common_name, absl::Time not_before,
                                              absl::Time not_after);

absl::StatusOr<KeyAndCsr> CreateKeyAndCsr(std::string_view common_name);

// INVALID_ARGUMENT if the request cannot be read, its self-signature is wrong or a SAN is
// malformed.
absl::StatusOr<std::string> SignCsr(const CertificateAuthority& ca, std::string_view csr_pem,
                                    const SignOptions& options);

// Of the first certificate in `pem`.
absl::StatusOr<CertificateInfo> GetCertificateInfo(std::string_view pem);

// `not_after` of the first certificate in `pem`, without a look at its key, which is what takes
// OpenSSL 3.0 longest: for what TLS has already verified.
absl::StatusOr<absl::Time> GetExpiry(std::string_view pem);

// All certificates in `pem`, one text each.
absl::StatusOr<std::vector<std::string>> SplitPemChain(std::string_view pem);

// OK if `certificate_pem` was signed by the key of `ca_pem` and `key_pem` belongs to it.
absl::Status CheckIssuedBy(std::string_view certificate_pem, std::string_view ca_pem);
absl::Status CheckKeyMatches(std::string_view certificate_pem, const Secret& key_pem);

// Connects by TCP, shakes hands (ALPN h2) WITHOUT any verification, and returns what the peer
// presented, leaf first. Only good for finding a CA by the fingerprint of a join token. The peer
// must send its root too. Blocks up to `timeout`; UNAVAILABLE if nobody answers,
// DEADLINE_EXCEEDED, FAILED_PRECONDITION if the peer speaks no TLS.
absl::StatusOr<std::vector<std::string>> FetchPeerChain(const std::string& host, uint16_t port,
                                                        absl::Duration timeout);

// For every TLS context that is made from then on: at least TLS 1.2, and servers give no session
// tickets. Once, early in main.
void SetTlsDefaults();

}  // namespace appsup
