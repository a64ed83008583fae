#pragma once

#include <memory>
#include <string>

#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"

namespace appsup::rpc {

// TLS with files that are read anew when they change (looked at every few seconds; for new
// connections). Replace the folder that holds them as a whole. With `ask_client`, a client's
// certificate is asked for and, if there is one, must be signed by a CA in `ca_path`.
std::shared_ptr<grpc::ServerCredentials> FileServerCredentials(const std::string& key_path,
                                                               const std::string& certificate_path,
                                                               const std::string& ca_path,
                                                               bool ask_client);

// Trusts only the CA in `ca_pem`; shows the certificate if one is given. The name that the peer's
// certificate must have is set per channel (SetSslTargetNameOverride).
std::shared_ptr<grpc::ChannelCredentials> PemChannelCredentials(const std::string& ca_pem,
                                                                const std::string& certificate_pem,
                                                                const std::string& key_pem);

}  // namespace appsup::rpc
