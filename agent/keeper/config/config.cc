#include "agent/keeper/config/config.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/config_reader.h"
#include "common/text_units.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kNoUid = -1;

// As written in the file.
struct KeeperConfig {
  std::string root_dir;
  std::string agent_user;
  int64_t agent_uid = kNoUid;
  std::string socket, run_dir, state_dir;
  std::vector<std::string> roots;
  Policy policy;
};

void BindCeilings(ConfigSection& limits, Policy& policy) {
  std::string cpu;
  limits.String("cpu", &cpu);
  if (!cpu.empty()) {
    auto millis = ParseCpu(cpu);
    if (millis.ok()) {
      policy.max_cpu_millis = *millis;
    } else {
      limits.Refuse("cpu", std::string(millis.status().message()));
    }
  }
  limits.Bytes("memory", &policy.max_memory_bytes);
  limits.Int("pids", &policy.max_pids, 1, 4'194'304);
}

void BindPaths(ConfigSection& s, KeeperConfig& config) {
  s.String("root_dir", &config.root_dir);
  for (auto [key, target] : {std::pair{"socket", &config.socket},
                             {"run_dir", &config.run_dir},
                             {"state_dir", &config.state_dir}}) {
    s.String(key, target);
    if (!target->empty() && (*target)[0] != '/') s.Refuse(key, "must be an absolute path");
  }
  if (!config.root_dir.empty() && config.root_dir[0] != '/') {
    s.Refuse("root_dir", "must be an absolute path");
  }
  s.StringList("roots", &config.roots);
  for (const std::string& root : config.roots) {
    if (root.size() < 2 || root[0] != '/' || root.back() == '/') {
      s.Refuse("roots", absl::StrCat("\"", root,
                                     "\" must be an absolute path without a slash at "
                                     "its end, and not the root folder"));
    }
  }
}

void BindKeeper(ConfigSection& s, KeeperConfig& config) {
  BindPaths(s, config);
  s.String("agent_user", &config.agent_user);
  s.Int("agent_uid", &config.agent_uid, 0, 0xfffffffe);
  if (!config.agent_user.empty() && config.agent_uid != kNoUid) {
    s.Refuse("agent_uid", "cannot be set together with agent_user");
  }
  s.StringList("users", &config.policy.users);
  s.Bool("cgroups", &config.policy.use_cgroups);
  s.Section("uids", [&](ConfigSection& uids) {
    uids.Int("first", &config.policy.first_uid, 1000, 0xfffffff0);
    uids.Int("last", &config.policy.last_uid, 1000, 0xfffffff0);
    if (config.policy.first_uid > config.policy.last_uid) {
      uids.Refuse(uids.Has("last") ? "last" : "first", "`first` must not be greater than `last`");
    }
  });
  s.Section("limits", [&](ConfigSection& limits) { BindCeilings(limits, config.policy); });
}

absl::StatusOr<Identity> AgentIdentity(const KeeperConfig& config) {
  Identity own = {geteuid(), getegid()};
  if (!config.agent_user.empty()) return FindAccount(config.agent_user);
  if (config.agent_uid != kNoUid) {
    uid_t uid = static_cast<uid_t>(config.agent_uid);
    return uid == own.uid ? own : Identity{uid, uid};
  }
  return own.uid == 0 ? FindAccount("appsup") : own;
}

std::string Or(const std::string& value, const std::string& root, const char* fallback) {
  return value.empty() ? absl::StrCat(root, fallback) : value;
}

}  // namespace

absl::StatusOr<Policy> ReadPolicy(const std::string& path) {
  auto config = ReadConfig<KeeperConfig>(path, {}, BindKeeper);
  if (!config.ok()) return config.status();
  Policy policy = config->policy;
  auto agent = AgentIdentity(*config);
  if (!agent.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the agent's user: ", std::string(agent.status().message()),
                     "; name another with agent_user or agent_uid"));
  }
  policy.agent = *agent;
  if (geteuid() == 0 && policy.agent.uid >= policy.first_uid &&
      policy.agent.uid <= policy.last_uid) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the agent's user id ", policy.agent.uid,
                                                   " lies within `uids`, which is for apps"));
  }
  const std::string& root = config->root_dir;
  policy.socket = Or(config->socket, root, "/run/appsup/keeper/keeper.sock");
  policy.run_dir = Or(config->run_dir, root, "/run/appsup/keeper-run");
  policy.state_dir = Or(config->state_dir, root, "/var/lib/appsup/keeper");
  policy.roots = config->roots;
  if (policy.roots.empty()) policy.roots = {absl::StrCat(root, "/var/lib/appsup/agent")};
  return policy;
}

}  // namespace appsup::keeper
