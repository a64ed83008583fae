#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/secret.h"

namespace appsup {

// What an operator pastes on a new node: "aj1.{secret}.{fingerprint}.{host:port}".
struct JoinToken {
  Secret secret;               // The entry's core keeps its digest. Contains no '.'.
  std::string ca_fingerprint;  // SHA-256 of the CA's certificate, 64 lower-case hex digits.
  std::string address;         // Of the link, as nodes reach it.
};

std::string EncodeJoinToken(const JoinToken& token);

// INVALID_ARGUMENT without the text in it: it may be a real token with a typing mistake.
absl::StatusOr<JoinToken> DecodeJoinToken(const std::string& text);

}  // namespace appsup
