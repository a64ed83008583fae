#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/server_call.h"
#include "entry/core/principal.h"
#include "entry/security/refusals.h"
#include "entry/security/tokens.h"

namespace appsup::entry {

// Who makes a call, and whether they may: by the connection for the unix socket, else by a bearer
// token. Refusals are noted. Thread-safe.
class Callers {
 public:
  // "fd:7" → "root", for connections over the unix socket.
  using LocalUser = std::function<std::optional<std::string>(const std::string& peer)>;

  // `tokens` and `refusals` outlive this.
  Callers(const Tokens& tokens, Refusals& refusals, LocalUser local_user)
      : tokens_(tokens), refusals_(refusals), local_user_(std::move(local_user)) {}

  // UNAUTHENTICATED with what to do.
  absl::StatusOr<Principal> PrincipalOf(const rpc::ServerCall& call) const;

  // Authorize (entry/security/authorize.h) for this call.
  absl::Status Allow(const Principal& principal, const rpc::ServerCall& call,
                     const google::protobuf::Message& request) const;

 private:
  absl::StatusOr<Principal> Recognise(const rpc::ServerCall& call) const;

  const Tokens& tokens_;
  Refusals& refusals_;
  const LocalUser local_user_;
};

}  // namespace appsup::entry
