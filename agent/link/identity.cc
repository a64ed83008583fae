#include "agent/link/identity.h"

#include <utility>

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

absl::StatusOr<Identity> ReadFiles(const std::string& dir) {
  Identity identity;
  absl::StatusOr<std::string> key = ReadFile(dir + "/node.key", kMaxFileBytes);
  if (absl::IsNotFound(key.status())) return NotEnrolled(dir);
  if (!key.ok()) return key.status();
  identity.key_pem = Secret(*std::move(key));
  ASSIGN_OR_RETURN(identity.certificate_pem, ReadFile(dir + "/node.crt", kMaxFileBytes));
  ASSIGN_OR_RETURN(identity.ca_pem, ReadFile(dir + "/ca.crt", kMaxFileBytes));
  ASSIGN_OR_RETURN(identity.entry, ReadFile(dir + "/entry", kMaxFileBytes));
  return identity;
}

absl::Status CheckFilesFit(const std::string& dir, const Identity& identity) {
  for (const absl::Status& status : {CheckKeyMatches(identity.certificate_pem, identity.key_pem),
                                     CheckIssuedBy(identity.certificate_pem, identity.ca_pem)}) {
    if (!status.ok()) {
      return absl::FailedPreconditionError(
          "the files in " + dir + " do not fit each other: " + std::string(status.message()) +
          "; enrol the node again");
    }
  }
  return absl::OkStatus();
}

bool AreSame(const Identity& a, const Identity& b) {
  return a.key_pem.Equals(b.key_pem.Reveal()) && a.certificate_pem == b.certificate_pem &&
         a.ca_pem == b.ca_pem && a.entry == b.entry;
}

}  // namespace

absl::StatusOr<Identity> ReadIdentity(const std::string& dir) {
  ASSIGN_OR_RETURN(Identity identity, ReadFiles(dir));
  RETURN_IF_ERROR(CheckFilesFit(dir, identity));
  return identity;
}

absl::StatusOr<std::shared_ptr<const IdentityReader::Known>> IdentityReader::Read() {
  ASSIGN_OR_RETURN(Identity identity, ReadFiles(dir_));
  if (known_ != nullptr && AreSame(known_->identity, identity)) return known_;
  RETURN_IF_ERROR(CheckFilesFit(dir_, identity));
  ASSIGN_OR_RETURN(NodeName node, NodeOf(identity));
  known_ = std::make_shared<const Known>(Known{std::move(identity), std::move(node)});
  return known_;
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
