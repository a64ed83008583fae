#pragma once

#include "absl/status/status.h"
#include "agent/core/process.h"
#include "appsupervisor/keeper/v1/keeper.pb.h"

namespace appsup::agent {

namespace keeper_pb = ::appsupervisor::keeper::v1;

// Between the driver's types and the keeper's messages. Pure.

keeper_pb::ProcessId ToMessage(const ProcessId& id);
keeper_pb::Limits ToMessage(const ProcessLimits& limits);
keeper_pb::StopSettings ToMessage(int signal, absl::Duration grace);
keeper_pb::SpawnRequest ToMessage(const StartRequest& request);
keeper_pb::Fence ToMessage(const Fence& fence);

ProcessId FromMessage(const keeper_pb::ProcessId& id);
Started FromMessage(const keeper_pb::SpawnResponse& response);
RunningProcess FromMessage(const keeper_pb::RunningProcess& process);
ExitedProcess FromMessage(const keeper_pb::ExitedProcess& process);
absl::Status FromMessage(const keeper_pb::Error& error);

}  // namespace appsup::agent
