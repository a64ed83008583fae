#include "agent/driver/keeper_messages.h"

namespace appsup::agent {
namespace {

Started MakeStarted(int64_t pid, int64_t start_boot_nanos) {
  return {.pid = pid, .start_time = absl::Nanoseconds(start_boot_nanos)};
}

keeper_pb::Folder ToMessage(const Folder& folder) {
  keeper_pb::Folder message;
  message.set_path(folder.path);
  message.set_owner(folder.owner == FolderOwner::kApp ? keeper_pb::FOLDER_OWNER_APP
                                                      : keeper_pb::FOLDER_OWNER_AGENT);
  message.set_mode(folder.mode);
  message.set_adopt_tree(folder.adopt_tree);
  return message;
}

}  // namespace

keeper_pb::ProcessId ToMessage(const ProcessId& id) {
  keeper_pb::ProcessId message;
  message.set_instance_uid(id.instance_uid);
  message.set_kind(static_cast<keeper_pb::ProcessKind>(id.kind));  // The same numbers.
  message.set_attempt(id.attempt);
  return message;
}

keeper_pb::Limits ToMessage(const ProcessLimits& limits) {
  keeper_pb::Limits message;
  message.set_cpu_millis(limits.cpu_millis);
  message.set_memory_bytes(limits.memory_bytes);
  message.set_pids(limits.pids);
  return message;
}

keeper_pb::StopSettings ToMessage(int signal, absl::Duration grace) {
  keeper_pb::StopSettings message;
  message.set_signal(signal);
  message.set_grace_millis(absl::ToInt64Milliseconds(absl::Ceil(grace, absl::Milliseconds(1))));
  return message;
}

keeper_pb::Fence ToMessage(const Fence& fence) {
  keeper_pb::Fence message;
  message.set_deadline_boot_nanos(absl::ToInt64Nanoseconds(fence.deadline));
  message.set_stop_before_millis(
      absl::ToInt64Milliseconds(absl::Ceil(fence.stop_before, absl::Milliseconds(1))));
  return message;
}

keeper_pb::SpawnRequest ToMessage(const StartRequest& request) {
  keeper_pb::SpawnRequest message;
  *message.mutable_id() = ToMessage(request.id);
  message.set_app_uid(request.app_uid);
  for (const std::string& word : request.command) message.add_command(word);
  for (const auto& [name, value] : request.env) {
    keeper_pb::EnvVar& variable = *message.add_env();
    variable.set_name(name);
    variable.set_value(value);
  }
  message.set_working_dir(request.working_dir);
  message.set_user(request.user);
  for (const Folder& folder : request.folders) *message.add_folders() = ToMessage(folder);
  *message.mutable_limits() = ToMessage(request.limits);
  message.set_stdout_path(request.stdout_path);
  message.set_stderr_path(request.stderr_path);
  message.set_log_bound_bytes(request.log_bound_bytes);
  *message.mutable_stop() = ToMessage(request.stop_signal, request.stop_grace);
  if (request.fence) *message.mutable_fence() = ToMessage(*request.fence);
  return message;
}

ProcessId FromMessage(const keeper_pb::ProcessId& id) {
  return {.instance_uid = id.instance_uid(),
          .kind = static_cast<ProcessKind>(id.kind()),
          .attempt = id.attempt()};
}

Started FromMessage(const keeper_pb::SpawnResponse& response) {
  return MakeStarted(response.pid(), response.start_boot_nanos());
}

RunningProcess FromMessage(const keeper_pb::RunningProcess& process) {
  return {.id = FromMessage(process.id()),
          .app_uid = process.app_uid(),
          .started = MakeStarted(process.pid(), process.start_boot_nanos()),
          .fenced = process.fenced()};
}

ExitedProcess FromMessage(const keeper_pb::ExitedProcess& process) {
  return {.id = FromMessage(process.id()),
          .exit = {.code = process.code(),
                   .signal = process.signal(),
                   .out_of_memory = process.out_of_memory(),
                   .unknown = process.unknown(),
                   .by_fence = process.by_fence(),
                   .stopped = process.stopped(),
                   .time = absl::FromUnixNanos(process.unix_nanos())}};
}

absl::Status FromMessage(const keeper_pb::Error& error) {
  auto code = static_cast<absl::StatusCode>(error.code());
  if (code == absl::StatusCode::kOk) code = absl::StatusCode::kUnknown;
  return absl::Status(code, error.message());
}

}  // namespace appsup::agent
