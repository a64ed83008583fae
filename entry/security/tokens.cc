#include "entry/security/tokens.h"

#include <sys/stat.h>

#include <utility>

#include "common/config_reader.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/id.h"
#include "common/log.h"
#include "common/resource_name.h"
#include "common/status.h"

namespace appsup::entry {
namespace {

constexpr size_t kTokenBytes = 32;
constexpr size_t kMinTokenLength = 16;
constexpr size_t kDigestLength = 64;
constexpr char kBearer[] = "Bearer ";

absl::Status CheckPrivate(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && (info.st_mode & 0077) != 0) {
    return absl::FailedPreconditionError("others may read " + path + ": chmod 600 it");
  }
  return absl::OkStatus();
}

absl::StatusOr<Secret> AdminToken(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, 4096);
  if (absl::IsNotFound(text.status())) {
    Secret token = NewSecret(kTokenBytes);
    RETURN_IF_ERROR(AtomicWriteFile(path, token.Reveal() + "\n", 0600));
    Log(LogLevel::kInfo, "admin-token-made", {{"path", path}});
    return token;
  }
  if (!text.ok()) return text.status();
  RETURN_IF_ERROR(CheckPrivate(path));
  const size_t end = text->find_last_not_of(" \r\n\t");
  text->resize(end == std::string::npos ? 0 : end + 1);
  if (text->size() < kMinTokenLength) {
    return absl::FailedPreconditionError(path +
                                         " holds no token of at least 16 characters: remove "
                                         "it, and a new one is made at the next start");
  }
  return Secret(*text);
}

}  // namespace

absl::StatusOr<Tokens> Tokens::Open(const std::string& admin_token_path,
                                    const std::string& tokens_file) {
  Tokens tokens;
  ASSIGN_OR_RETURN(Secret admin, AdminToken(admin_token_path));
  Principal administrator;
  administrator.name = "token:admin";
  administrator.role = Role::kAdmin;
  tokens.Add(Secret(Sha256Hex(admin.Reveal())), administrator);
  if (!tokens_file.empty()) RETURN_IF_ERROR(tokens.ReadNamed(tokens_file));
  return tokens;
}

void Tokens::Add(Secret sha256, const Principal& principal) {
  Known& known = known_.emplace_back();
  known.sha256 = std::move(sha256);
  known.principal = principal;
}

absl::Status Tokens::ReadNamed(const std::string& path) {
  RETURN_IF_ERROR(CheckPrivate(path));
  return BindConfigFile(path, {}, [&](ConfigSection& file) {
    file.List("tokens", [&](ConfigSection& entry) {
      std::string name, digest;
      Principal principal;
      for (const char* key : {"name", "role", "token_sha256"}) entry.Require(key);
      entry.String("name", &name);
      entry.String("project", &principal.project);
      entry.String("token_sha256", &digest);
      entry.Enum<Role>("role", &principal.role,
                       {{"viewer", Role::kViewer},
                        {"deployer", Role::kDeployer},
                        {"operator", Role::kOperator},
                        {"admin", Role::kAdmin}});
      if (!IsValidId(name)) entry.Refuse("name", "must be an id like `ci`");
      if (digest.size() != kDigestLength) {
        entry.Refuse("token_sha256", "must be the token's SHA-256 in 64 lower-case hex digits");
      }
      principal.name = "token:" + name;
      Add(Secret(digest), principal);
    });
  });
}

std::optional<Principal> Tokens::Find(const std::string& token) const {
  const std::string digest = Sha256Hex(token);
  std::optional<Principal> found;
  for (const Known& known : known_) {
    if (known.sha256.Equals(digest)) found = known.principal;
  }
  return found;
}

std::optional<std::string> BearerToken(const std::string& authorization) {
  const size_t start = sizeof(kBearer) - 1;
  if (authorization.size() <= start || authorization.compare(0, start, kBearer) != 0) {
    return std::nullopt;
  }
  return authorization.substr(start);
}

}  // namespace appsup::entry
