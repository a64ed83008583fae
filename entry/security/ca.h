#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls.h"

// The entry's certificate authority and what it signs: its own server certificate, and one
// certificate per node. Files in the state folder:
//   ca/ca.key (0600)  ca/ca.crt                              made once, ten years
//   tls/server.key  tls/server.crt (with the CA)  tls/ca.crt  swapped as a whole when renewed
namespace appsup::entry {

inline constexpr absl::Duration kCaLife = absl::Hours(24 * 3650);
inline constexpr absl::Duration kServerCertificateLife = absl::Hours(24 * 365);
inline constexpr absl::Duration kNodeCertificateLife = absl::Hours(24 * 90);

// Thread-safe once made.
class Ca {
 public:
  // ALREADY_EXISTS if the state folder has one: a second one would lock all nodes out.
  static absl::StatusOr<Ca> Create(const std::string& state_dir, absl::Time now);
  // NOT_FOUND if there is none.
  static absl::StatusOr<Ca> Open(const std::string& state_dir);
  static absl::StatusOr<Ca> OpenOrCreate(const std::string& state_dir, absl::Time now);

  const std::string& certificate_pem() const { return authority_.certificate_pem; }
  // SHA-256, lower-case hex: what join tokens carry.
  const std::string& fingerprint() const { return fingerprint_; }

  // For `appsup://node/{node}/{uid}`. INVALID_ARGUMENT if the request is malformed.
  absl::StatusOr<std::string> SignNode(const std::string& csr_pem, const std::string& node,
                                       const std::string& uid, absl::Time now) const;

  // Makes the server certificate for "appsup-entry", "localhost" and these names and addresses,
  // unless there is one with all of them of whose life more than a third is left.
  absl::Status EnsureServerCertificate(const std::string& state_dir,
                                       const std::vector<std::string>& names, absl::Time now) const;

 private:
  Ca(CertificateAuthority authority, std::string fingerprint)
      : authority_(std::move(authority)), fingerprint_(std::move(fingerprint)) {}

  CertificateAuthority authority_;
  std::string fingerprint_;
};

// Where the server certificate's files are.
struct ServerTlsPaths {
  std::string key;
  std::string certificate;
  std::string ca;
};
ServerTlsPaths ServerTlsFiles(const std::string& state_dir);

}  // namespace appsup::entry
