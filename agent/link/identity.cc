#include "agent/link/identity.h"

#include "common/file.h"
#include "common/status.h"
#include "common/swapped_folder.h"
#include "common/tls.h"

namespace appsup::agent {
namespace {

constexpr size_t kMaxFileBytes = 256 << 10;
constexpr char kNodePrefix[] = "appsup://node/";

absl::Status NotEnrolled(const std::string& dir) {
  return MakeError(absl::StatusCode::kNotFound, "NOT_ENROLLED",
                   "this node is not enrolled (" + dir +
                       " holds no certificate); run the line that `appsup nodes token ENVIRONMENT` "
                       "prints",
                   {{"dir", dir}});
}

}  // namespace

absl::StatusOr<Identity> ReadIdentity(const std::string& dir) {
  Identity identity;
  absl::StatusOr<std::string> key = ReadFile(dir + "/node.key", kMaxFileBytes);
  if (absl::IsNotFound(key.status())) return NotEnrolled(dir);
  if (!key.ok()) return key.status();
  identity.key_pem = Secret(*key);
  ASSIGN_OR_RETURN(identity.certificate_pem, ReadFile(dir + "/node.crt", kMaxFileBytes));
  ASSIGN_OR_RETURN(identity.ca_pem, ReadFile(dir + "/ca.crt", kMaxFileBytes));
  ASSIGN_OR_RETURN(identity.entry, ReadFile(dir + "/entry", kMaxFileBytes));
  for (const absl::Status& status : {CheckKeyMatches(identity.certificate_pem, identity.key_pem),
                                     CheckIssuedBy(identity.certificate_pem, identity.ca_pem)}) {
    if (!status.ok()) {
      return absl::FailedPreconditionError(
          "the files in " + dir + " do not fit each other: " + std::string(status.message()) +
          "; enrol the node again");
    }
  }
  return identity;
}

absl::Status WriteIdentity(const std::string& dir, const Identity& identity) {
  return SwapFolder(dir, {{"node.key", identity.key_pem.Reveal()},
                          {"node.crt", identity.certificate_pem},
                          {"ca.crt", identity.ca_pem},
                          {"entry", identity.entry}});
}

absl::StatusOr<NodeName> NodeOf(const Identity& identity) {
  ASSIGN_OR_RETURN(CertificateInfo info, GetCertificateInfo(identity.certificate_pem));
  const size_t start = sizeof(kNodePrefix) - 1;
  for (const std::string& uri : info.uri_sans) {
    const size_t slash = uri.find('/', start);
    if (uri.compare(0, start, kNodePrefix) != 0 || slash == std::string::npos) continue;
    return NodeName{uri.substr(start, slash - start), uri.substr(slash + 1), info.not_before,
                    info.not_after, info.serial};
  }
  return absl::FailedPreconditionError("the certificate is not a node's");
}

}  // namespace appsup::agent
