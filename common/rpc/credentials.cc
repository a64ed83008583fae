#include "common/rpc/credentials.h"

#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace appsup::rpc {
namespace {

constexpr unsigned int kRefreshSeconds = 5;

}  // namespace

std::shared_ptr<grpc::ServerCredentials> FileServerCredentials(const std::string& key_path,
                                                               const std::string& certificate_path,
                                                               const std::string& ca_path,
                                                               bool ask_client) {
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      key_path, certificate_path, ca_path, kRefreshSeconds);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (ask_client) options.watch_root_certs();
  options.set_cert_request_type(ask_client ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                                           : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return grpc::experimental::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> PemChannelCredentials(const std::string& ca_pem,
                                                                const std::string& certificate_pem,
                                                                const std::string& key_pem) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ca_pem;
  options.pem_cert_chain = certificate_pem;
  options.pem_private_key = key_pem;
  return grpc::SslCredentials(options);
}

}  // namespace appsup::rpc
