#include "agent/keeper/policy.h"

namespace appsup::keeper {

pb::PolicyRecord ToRecord(const Policy& policy) {
  pb::PolicyRecord record;
  record.set_agent_uid(policy.agent.uid);
  record.set_agent_gid(policy.agent.gid);
  record.set_first_uid(policy.first_uid);
  record.set_last_uid(policy.last_uid);
  for (const std::string& root : policy.roots) record.add_roots(root);
  for (const std::string& user : policy.users) record.add_users(user);
  record.mutable_limits()->set_cpu_millis(policy.max_cpu_millis);
  record.mutable_limits()->set_memory_bytes(policy.max_memory_bytes);
  record.mutable_limits()->set_pids(policy.max_pids);
  record.set_socket(policy.socket);
  record.set_run_dir(policy.run_dir);
  record.set_state_dir(policy.state_dir);
  record.set_use_cgroups(policy.use_cgroups);
  return record;
}

Policy FromRecord(const pb::PolicyRecord& record) {
  Policy policy;
  policy.agent = {record.agent_uid(), record.agent_gid()};
  policy.first_uid = record.first_uid();
  policy.last_uid = record.last_uid();
  policy.roots.assign(record.roots().begin(), record.roots().end());
  policy.users.assign(record.users().begin(), record.users().end());
  policy.max_cpu_millis = record.limits().cpu_millis();
  policy.max_memory_bytes = record.limits().memory_bytes();
  policy.max_pids = record.limits().pids();
  policy.socket = record.socket();
  policy.run_dir = record.run_dir();
  policy.state_dir = record.state_dir();
  policy.use_cgroups = record.use_cgroups();
  return policy;
}

}  // namespace appsup::keeper
