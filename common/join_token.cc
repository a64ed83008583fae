#include "common/join_token.h"

#include <algorithm>

#include "common/status.h"

namespace appsup {
namespace {

constexpr char kPrefix[] = "aj1.";
constexpr size_t kFingerprintLength = 64;
constexpr size_t kMaxLength = 1024;

absl::Status Malformed() {
  return MakeError(
      absl::StatusCode::kInvalidArgument, "MALFORMED_TOKEN",
      "the join token is not whole: it must look like aj1.SECRET.FINGERPRINT.HOST:PORT "
      "as `appsup nodes token` printed it");
}

bool IsHex(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::string EncodeJoinToken(const JoinToken& token) {
  return kPrefix + token.secret.Reveal() + "." + token.ca_fingerprint + "." + token.address;
}

absl::StatusOr<JoinToken> DecodeJoinToken(const std::string& text) {
  const size_t start = sizeof(kPrefix) - 1;
  if (text.size() > kMaxLength || text.compare(0, start, kPrefix) != 0) return Malformed();
  const size_t secret_end = text.find('.', start);
  if (secret_end == std::string::npos || secret_end == start) return Malformed();
  const size_t fingerprint_end = text.find('.', secret_end + 1);
  if (fingerprint_end == std::string::npos) return Malformed();
  JoinToken token{Secret(text.substr(start, secret_end - start)),
                  text.substr(secret_end + 1, fingerprint_end - secret_end - 1),
                  text.substr(fingerprint_end + 1)};
  if (token.ca_fingerprint.size() != kFingerprintLength || !IsHex(token.ca_fingerprint) ||
      token.address.find(':') == std::string::npos) {
    return Malformed();
  }
  return token;
}

}  // namespace appsup
