#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/server_call.h"
#include "entry/core/principal.h"
#include "entry/security/tokens.h"

namespace appsup::entry {

// Finds out who makes a call: by the connection for the unix socket, else by a bearer token.
// Thread-safe.
class Callers {
 public:
  // "fd:7" → "root", for connections over the unix socket.
  using LocalUser = std::function<std::optional<std::string>(const std::string& peer)>;

  // `tokens` outlives this.
  Callers(const Tokens& tokens, LocalUser local_user)
      : tokens_(tokens), local_user_(std::move(local_user)) {}

  // UNAUTHENTICATED with what to do.
  absl::StatusOr<Principal> PrincipalOf(const rpc::ServerCall& call) const;

 private:
  const Tokens& tokens_;
  const LocalUser local_user_;
};

}  // namespace appsup::entry
