#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/secret.h"
#include "entry/core/principal.h"

namespace appsup::entry {

// Tokens for calls by TCP and the principals that they stand for. Thread-safe once made.
class Tokens {
 public:
  // Reads the administrator's token; makes it first (0600) if the file is absent. `tokens_file`
  // may be empty; else it is YAML, not readable by others:
  //   tokens:
  //     - {name: ci, role: deployer, project: shop, token_sha256: 9f…}
  static absl::StatusOr<Tokens> Open(const std::string& admin_token_path,
                                     const std::string& tokens_file);

  // Takes the same time whichever token it is, or none.
  std::optional<Principal> Find(const std::string& token) const;

 private:
  struct Known {
    Secret sha256;
    Principal principal;
  };

  void Add(Secret sha256, const Principal& principal);
  absl::Status ReadNamed(const std::string& path);

  std::vector<Known> known_;
};

// "Bearer abc" → "abc".
std::optional<std::string> BearerToken(const std::string& authorization);

}  // namespace appsup::entry
