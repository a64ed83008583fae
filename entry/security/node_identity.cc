#include "entry/security/node_identity.h"

#include "common/resource_name.h"
#include "common/status.h"

namespace appsup::entry {
namespace {

constexpr char kPrefix[] = "appsup://node/";

absl::Status Refuse(const std::string& why) {
  return MakeError(absl::StatusCode::kUnauthenticated, "NODE_CERTIFICATE_REQUIRED",
                   why + "; enrol the node with `appsup-agent enroll`");
}

}  // namespace

std::string NodeUri(const NodeIdentity& identity) {
  return kPrefix + identity.node + "/" + identity.uid;
}

absl::StatusOr<NodeIdentity> NodeFromUris(const std::vector<std::string>& uris) {
  if (uris.empty()) return Refuse("this call needs a node's certificate, and none was shown");
  if (uris.size() > 1) return Refuse("the certificate names more than one identity");
  const std::string& uri = uris.front();
  const size_t start = sizeof(kPrefix) - 1;
  const size_t slash = uri.find('/', start);
  if (uri.compare(0, start, kPrefix) != 0 || slash == std::string::npos ||
      slash + 1 == uri.size() || uri.find('/', slash + 1) != std::string::npos) {
    return Refuse("the certificate is not a node's");
  }
  NodeIdentity identity{uri.substr(start, slash - start), uri.substr(slash + 1)};
  if (!IsValidId(identity.node)) return Refuse("the certificate is not a node's");
  return identity;
}

}  // namespace appsup::entry
