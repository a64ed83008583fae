#include "agent/keeper/policy.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/fence.h"
#include "agent/keeper/small_file.h"

namespace appsup::keeper {
namespace {

constexpr size_t kMaxId = 64;
constexpr size_t kMaxFolders = 32;
constexpr size_t kMaxEnv = 4096;
constexpr size_t kMaxCommand = 65536;
constexpr int64_t kMaxGraceMillis = int64_t{24} * 3600 * 1000;
constexpr size_t kMaxPasswdBytes = size_t{4} << 20;

bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

absl::Status CheckId(const char* what, const std::string& id) {
  bool good = !id.empty() && id.size() <= kMaxId;
  for (char c : id) {
    good = good && (isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_');
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " \"", id, "\" is not made of 1 to ", kMaxId,
                                                 " letters, digits, '-' and '_'"));
}

absl::Status CheckAbsolute(const char* what, const std::string& path) {
  if (!path.empty() && path[0] == '/' && path.size() < PATH_MAX && !HasNul(path)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(what, " \"", path, "\" is not an absolute path"));
}

absl::Status CheckFolders(const pb::SpawnRequest& request) {
  if (request.folders_size() > static_cast<int>(kMaxFolders)) {
    return absl::InvalidArgumentError(absl::StrCat(request.folders_size(), " folders; at most ",
                                                   kMaxFolders, " can be prepared"));
  }
  for (const pb::Folder& folder : request.folders()) {
    if (absl::Status s = CheckAbsolute("folder", folder.path()); !s.ok()) return s;
    if (folder.mode() > 0777 ||
        (folder.owner() != pb::FOLDER_OWNER_APP && folder.owner() != pb::FOLDER_OWNER_AGENT)) {
      return absl::InvalidArgumentError(
          absl::StrCat("folder ", folder.path(), " has no valid mode and owner"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCommand(const pb::SpawnRequest& request) {
  if (request.command_size() == 0 || request.command(0).empty()) {
    return absl::InvalidArgumentError("the command is empty; its first word is the program");
  }
  if (request.command_size() > static_cast<int>(kMaxCommand) ||
      request.env_size() > static_cast<int>(kMaxEnv)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a command has at most ", kMaxCommand, " words and ", kMaxEnv, " variables"));
  }
  for (const std::string& word : request.command()) {
    if (HasNul(word)) return absl::InvalidArgumentError("a word of the command has a NUL byte");
  }
  for (const pb::EnvVar& var : request.env()) {
    if (var.name().empty() || HasNul(var.name()) || HasNul(var.value()) ||
        var.name().find('=') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "environment variable \"", var.name(),
          "\": a name is not empty and without '=', and neither it nor its value has a NUL byte"));
    }
  }
  return absl::OkStatus();
}

int64_t Smaller(int64_t wanted, int64_t ceiling) {
  if (ceiling <= 0) return wanted;
  return wanted <= 0 ? ceiling : std::min(wanted, ceiling);
}

}  // namespace

absl::StatusOr<Identity> FindAccount(const std::string& name) {
  auto text = ReadSmallFile("/etc/passwd", kMaxPasswdBytes);
  if (!text.ok()) return text.status();
  for (std::string_view rest = *text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.substr(0, line.find(':')) != name) continue;
    std::vector<std::string> fields = absl::StrSplit(std::string(line), ':');
    Identity found;
    if (fields.size() >= 4 && absl::SimpleAtoi(fields[2], &found.uid) &&
        absl::SimpleAtoi(fields[3], &found.gid)) {
      return found;
    }
  }
  return absl::NotFoundError(absl::StrCat("user \"", name, "\" is not in /etc/passwd"));
}

absl::Status CheckProcessId(const pb::ProcessId& id) {
  if (absl::Status s = CheckId("instance uid", id.instance_uid()); !s.ok()) return s;
  if (id.kind() < pb::PROCESS_KIND_MAIN || id.kind() > pb::PROCESS_KIND_CHECK) {
    return absl::InvalidArgumentError(
        absl::StrCat("process kind ", static_cast<int>(id.kind()), " does not exist"));
  }
  if (id.attempt() < 0) return absl::InvalidArgumentError("the attempt is negative");
  return absl::OkStatus();
}

absl::Status CheckStop(const pb::StopSettings& settings) {
  if (settings.signal() < 1 || settings.signal() > SIGRTMAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop signal ", settings.signal(), " does not exist"));
  }
  if (settings.grace_millis() < 0 || settings.grace_millis() > kMaxGraceMillis) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop grace of ", settings.grace_millis(), " ms; at most a day is allowed"));
  }
  return absl::OkStatus();
}

absl::Status CheckSpawn(const pb::SpawnRequest& request) {
  absl::Status checks[] = {CheckProcessId(request.id()),
                           CheckId("app uid", request.app_uid()),
                           CheckCommand(request),
                           CheckFolders(request),
                           CheckAbsolute("working folder", request.working_dir()),
                           CheckStop(request.stop())};
  for (const absl::Status& status : checks) {
    if (!status.ok()) return status;
  }
  for (const std::string& path : {request.stdout_path(), request.stderr_path()}) {
    if (path.empty()) continue;
    if (absl::Status s = CheckAbsolute("log file", path); !s.ok()) return s;
  }
  if (request.has_fence()) {
    if (absl::Status s = CheckFence(request.fence()); !s.ok()) return s;
  }
  if (request.log_bound_bytes() < 0) return absl::InvalidArgumentError("the log bound is negative");
  return absl::OkStatus();
}

absl::StatusOr<Identity> AllowedAccount(const Policy& policy, const std::string& name) {
  if (std::find(policy.users.begin(), policy.users.end(), name) == policy.users.end()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "user \"", name, "\" is refused: it is not among `users` of this node's keeper.yaml"));
  }
  auto account = FindAccount(name);
  if (!account.ok()) return account.status();
  if (account->uid == 0 || account->gid == 0 || account->uid == policy.agent.uid) {
    return absl::PermissionDeniedError(absl::StrCat(
        "user \"", name, "\" is refused: no app runs as root or as the agent's own user"));
  }
  return account;
}

pb::Limits WithinCeilings(const Policy& policy, const pb::Limits& wanted) {
  pb::Limits limits;
  limits.set_cpu_millis(Smaller(wanted.cpu_millis(), policy.max_cpu_millis));
  limits.set_memory_bytes(Smaller(wanted.memory_bytes(), policy.max_memory_bytes));
  limits.set_pids(Smaller(wanted.pids(), policy.max_pids));
  return limits;
}

absl::StatusOr<RootedPath> BeneathRoot(const Policy& policy, const std::string& path) {
  for (const std::string& root : policy.roots) {
    if (path.compare(0, root.size() + 1, root + "/") != 0) continue;
    // The system would read only what comes before it: ".." of "..\0x".
    if (path.find('\0') != std::string::npos) {
      return absl::PermissionDeniedError(
          absl::StrCat("path ", path.c_str(), " is refused: a NUL follows in it"));
    }
    RootedPath found = {root, path.substr(root.size() + 1)};
    for (const std::string& part : std::vector<std::string>(absl::StrSplit(found.rest, '/'))) {
      if (part.empty() || part == "." || part == ".." || part.size() > NAME_MAX) {
        return absl::PermissionDeniedError(absl::StrCat(
            "path ", path, " is refused: a part of it is empty, \".\", \"..\" or too long"));
      }
    }
    return found;
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "path ", path, " is refused: it is not beneath one of `roots` of this node's keeper.yaml"));
}

std::string ProcessKey(const pb::ProcessId& id, char separator) {
  const char* kind = "main";
  if (id.kind() == pb::PROCESS_KIND_SETUP) kind = "setup";
  if (id.kind() == pb::PROCESS_KIND_INSTALL) kind = "install";
  if (id.kind() == pb::PROCESS_KIND_CHECK) kind = "check";
  std::string separator_text(1, separator);
  return absl::StrCat(id.instance_uid(), separator_text, kind, separator_text, id.attempt());
}

}  // namespace appsup::keeper
