#include "entry/cli/settings.h"

#include <vector>

#include "common/file.h"
#include "common/status.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr size_t kMaxTokenBytes = 4096;
// Where an entry keeps them, below its root_dir.
constexpr char kSocketPath[] = "/run/appsup/api.sock";
constexpr char kAdminTokenPath[] = "/var/lib/appsup/entry/admin.token";

bool IsUnixSocket(const std::string& server) { return server.rfind("unix:", 0) == 0; }

absl::StatusOr<Secret> ReadToken(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxTokenBytes));
  const size_t end = text.find_last_not_of(" \t\r\n");
  return Secret(end == std::string::npos ? "" : text.substr(0, end + 1));
}

}  // namespace

Settings SettingsFrom(const Surroundings& surroundings) {
  Settings settings;
  settings.server = fmt::format("unix:{}{}", surroundings.root, kSocketPath);
  if (!surroundings.server.empty()) settings.server = surroundings.server;
  if (!surroundings.project.empty()) settings.project = surroundings.project;
  settings.token_file = surroundings.token_file;
  settings.ca_file = surroundings.ca_file;
  return settings;
}

bool IsLocalServer(const std::string& server) {
  if (IsUnixSocket(server)) return true;
  for (const char* host : {"127.", "localhost:", "[::1]:", "dns:///localhost:"}) {
    if (server.rfind(host, 0) == 0) return true;
  }
  return false;
}

absl::StatusOr<Secret> FindToken(const Settings& settings, const Surroundings& surroundings) {
  if (!settings.token_file.empty()) {
    absl::StatusOr<Secret> token = ReadToken(settings.token_file);
    if (!token.ok()) return Annotate(token.status(), "token file");
    return token;
  }
  if (IsUnixSocket(settings.server)) return Secret();
  std::vector<std::string> candidates = {surroundings.root + kAdminTokenPath};
  if (!surroundings.home.empty()) candidates.push_back(surroundings.home + "/.config/appsup/token");
  for (const std::string& path : candidates) {
    absl::StatusOr<Secret> token = ReadToken(path);
    if (token.ok()) return token;
    IgnoreError(token.status(), "the next place may have one; without any the entry refuses");
  }
  return Secret();
}

}  // namespace appsup::cli
