#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "appsupervisor/keeper/v1/keeper.pb.h"

namespace appsup::keeper {

namespace pb = ::appsupervisor::keeper::v1;

// A user and group id that something is done as.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};

// What an agent may ask for, as the owner of the machine decided. Constant after start.
struct Policy {
  Identity agent;           // Who may connect, and whose group may read logs and look into folders.
  uid_t first_uid = 20000;  // User ids for apps, both ends included; a group of the same number.
  uid_t last_uid = 59999;
  std::vector<std::string>
      roots;  // Folders and logs lie beneath one of them. Absolute, no '/' at the end.
  std::vector<std::string> users;  // Accounts that an app may ask for by name.
  int64_t max_cpu_millis = 0;      // Ceilings of one process tree; 0 is none.
  int64_t max_memory_bytes = 0;
  int64_t max_pids = 0;
  std::string socket;     // Its folder belongs to the agent, mode 0700.
  std::string run_dir;    // Records of processes. The keeper's own, mode 0700.
  std::string state_dir;  // Which app has which user id. Outlives a reboot.
  bool use_cgroups = true;
};

// For the way from appsup-keeper-config to the keeper.
pb::PolicyRecord ToRecord(const Policy& policy);
Policy FromRecord(const pb::PolicyRecord& record);

// Looks a name up in /etc/passwd (and nowhere else: no network, no plug-ins in a root process).
// NOT_FOUND without such a line.
absl::StatusOr<Identity> FindAccount(const std::string& name);

// Whether the fields are of the allowed form and size. INVALID_ARGUMENT says which is not.
absl::Status CheckProcessId(const pb::ProcessId& id);
absl::Status CheckSpawn(const pb::SpawnRequest& request);
absl::Status CheckStop(const pb::StopSettings& settings);

// The account named in a request. PERMISSION_DENIED if the policy does not list it, or if it is
// root or the agent.
absl::StatusOr<Identity> AllowedAccount(const Policy& policy, const std::string& name);

// `wanted` under the ceilings.
pb::Limits WithinCeilings(const Policy& policy, const pb::Limits& wanted);

// The root that `path` lies beneath, and what of it comes after: "a/b". PERMISSION_DENIED if there
// is none, if a part of it is empty, "." or "..", or if it holds a NUL.
struct RootedPath {
  std::string root;
  std::string rest;
};
absl::StatusOr<RootedPath> BeneathRoot(const Policy& policy, const std::string& path);

// "uid/kind/attempt": the key of tables and, with dots, a file name.
std::string ProcessKey(const pb::ProcessId& id, char separator = '/');

}  // namespace appsup::keeper
