#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/core/options.h"
#include "agent/core/process.h"
#include "appsupervisor/agent/v1/journal.pb.h"
#include "appsupervisor/v1/link.pb.h"

// Turns a record into what a driver needs: folders, environment, limits. Pure.
namespace appsup::agent {

// <instances_dir>/<uid>: HOME, and the working folder of an app without an artifact.
std::string InstanceFolder(const CoreOptions& options, const std::string& uid);

// The slot's data folder; empty without data.
std::string DataFolder(const CoreOptions& options, const appsupervisor::v1::Assignment& assignment);

// "{app uid}/{environment}/{slot}": what picked ports belong to.
std::string SlotKey(const appsupervisor::v1::Assignment& assignment);

ProcessId IdOf(const appsupervisor::agent::v1::InstanceRecord& record);

// The whole environment of the app: its own variables, which win over the usual ones (PATH, HOME,
// HOST, PORT, PORT_<NAME>), but not over APPSUP_*. In order of name.
std::map<std::string, std::string> AppEnvironment(
    const CoreOptions& options, const std::string& node,
    const appsupervisor::agent::v1::InstanceRecord& record);

StartRequest MakeStartRequest(const CoreOptions& options, const std::string& node,
                              const appsupervisor::agent::v1::InstanceRecord& record);

absl::Duration GracePeriod(const appsupervisor::v1::AppSpec& spec);

absl::Duration SetupTimeout(const appsupervisor::v1::AppSpec& spec);

}  // namespace appsup::agent
