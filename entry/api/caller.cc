#include "entry/api/caller.h"

#include "common/status.h"
#include "entry/security/authorize.h"

namespace appsup::entry {
namespace {

constexpr char kAuthorization[] = "authorization";

absl::Status Refuse(const std::string& reason, const std::string& message) {
  return MakeError(absl::StatusCode::kUnauthenticated, reason, message);
}

}  // namespace

absl::StatusOr<Principal> Callers::PrincipalOf(const rpc::ServerCall& call) const {
  absl::StatusOr<Principal> principal = Recognise(call);
  if (!principal.ok()) {
    refusals_.Note(ErrorReason(principal.status()), "", rpc::MethodName(call.method()),
                   call.peer());
  }
  return principal;
}

absl::Status Callers::Allow(const Principal& principal, const rpc::ServerCall& call,
                            const google::protobuf::Message& request) const {
  const std::string method = rpc::MethodName(call.method());
  absl::Status status = Authorize(principal, method, request);
  if (!status.ok()) refusals_.Note(ErrorReason(status), principal.name, method, call.peer());
  return status;
}

absl::StatusOr<Principal> Callers::Recognise(const rpc::ServerCall& call) const {
  if (std::optional<std::string> user = local_user_(call.peer()); user.has_value()) {
    Principal principal;
    principal.name = "local:" + *user;
    principal.role = Role::kAdmin;
    return principal;
  }
  const std::optional<std::string> header = call.Metadata(kAuthorization);
  if (!header.has_value()) {
    return Refuse("TOKEN_REQUIRED",
                  "this address takes calls with a token only: send `authorization: Bearer TOKEN` "
                  "(grpcurl -H), or use the unix socket");
  }
  const std::optional<std::string> token = BearerToken(*header);
  std::optional<Principal> principal;
  if (token.has_value()) principal = tokens_.Find(*token);
  if (!principal.has_value()) {
    return Refuse("TOKEN_UNKNOWN",
                  "the token is not one of this entry's; the administrator's is in "
                  "the file admin.token of its state folder");
  }
  return *principal;
}

}  // namespace appsup::entry
