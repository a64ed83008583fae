#pragma once

#include <memory>
#include <string>

#include "entry/security/ca.h"
#include "grpcpp/grpcpp.h"

namespace appsup::bench {

// A CA in a folder, as an entry makes it, and credentials of both ends as the product uses them, so
// that ours and the bare reference shake hands and encrypt in the same way.
class Certificates {
 public:
  explicit Certificates(const std::string& dir);

  std::shared_ptr<grpc::ServerCredentials> Server() const;
  // For "n7" with the uid "uid-n7".
  std::shared_ptr<grpc::ChannelCredentials> Node(const std::string& id) const;

 private:
  const std::string dir_;
  entry::Ca ca_;
};

}  // namespace appsup::bench
