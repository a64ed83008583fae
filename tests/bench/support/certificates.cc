#include "tests/bench/support/certificates.h"

#include "common/check.h"
#include "common/rpc/credentials.h"
#include "common/tls.h"
#include "tests/bench/support/must.h"

namespace appsup::bench {

Certificates::Certificates(const std::string& dir)
    : dir_(dir), ca_(Must(entry::Ca::OpenOrCreate(dir, absl::Now()))) {
  const absl::Status made = ca_.EnsureServerCertificate(dir_, {"127.0.0.1"}, absl::Now());
  APPSUP_CHECK(made.ok(), made.ToString());
}

std::shared_ptr<grpc::ServerCredentials> Certificates::Server() const {
  const entry::ServerTlsPaths tls = entry::ServerTlsFiles(dir_);
  return rpc::FileServerCredentials(tls.key, tls.certificate, tls.ca, true);
}

std::shared_ptr<grpc::ChannelCredentials> Certificates::Node(const std::string& id) const {
  const KeyAndCsr key = Must(CreateKeyAndCsr(id));
  const std::string certificate = Must(ca_.SignNode(key.csr_pem, id, "uid-" + id, absl::Now()));
  return rpc::PemChannelCredentials(ca_.certificate_pem(), certificate, key.key_pem.Reveal());
}

}  // namespace appsup::bench
