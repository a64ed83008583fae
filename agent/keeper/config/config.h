#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "agent/keeper/policy.h"

namespace appsup::keeper {

// keeper.yaml, read by the program appsup-keeper-config, so that neither the YAML parser nor the
// libraries around it are in the process that stays for ever as root. All keys may be absent:
//
//   root_dir: /srv/try            # put before the default paths below, for a try without root
//   agent_user: appsup            # or agent_uid; default: appsup as root, else the keeper's own
//   user socket: /run/appsup/keeper/keeper.sock run_dir: /run/appsup/keeper-run state_dir:
//   /var/lib/appsup/keeper roots: [/var/lib/appsup/agent]           # folders and logs lie beneath
//   these users: [www-data]                        # accounts that apps may ask for; default none
//   uids: {first: 20000, last: 59999}
//   limits: {cpu: "8", memory: 16GiB, pids: 4096}    # ceilings of one process tree; default none
//   cgroups: true
//
// All errors together in one INVALID_ARGUMENT, a line each.
absl::StatusOr<Policy> ReadPolicy(const std::string& path);

}  // namespace appsup::keeper
