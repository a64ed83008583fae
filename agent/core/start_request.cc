#include "agent/core/start_request.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "agent/core/sentence.h"
#include "common/resource_name.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;
using appsupervisor::agent::v1::InstanceRecord;

constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr absl::Duration kDefaultGrace = absl::Seconds(30);
constexpr absl::Duration kDefaultSetupTimeout = absl::Minutes(30);

absl::Duration DurationOr(const google::protobuf::Duration& proto, absl::Duration fallback) {
  const absl::Duration value = absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
  return value > absl::ZeroDuration() ? value : fallback;
}

// "http-admin" -> "HTTP_ADMIN".
std::string VariablePart(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c == '-' ? '_' : static_cast<char>(std::toupper(c));
  });
  return name;
}

void AddIdentity(const CoreOptions& options, const std::string& node, const InstanceRecord& record,
                 std::map<std::string, std::string>* env) {
  const api::Assignment& assignment = record.assignment();
  if (auto ids = MatchName("projects/*/apps/*/instances/*", assignment.name())) {
    (*env)["APPSUP_PROJECT"] = (*ids)[0];
    (*env)["APPSUP_APP"] = (*ids)[1];
    (*env)["APPSUP_INSTANCE"] = (*ids)[2];
  }
  (*env)["APPSUP_SLOT"] = absl::StrCat(assignment.slot());
  (*env)["APPSUP_REVISION"] = absl::StrCat(assignment.revision());
  (*env)["APPSUP_ENVIRONMENT"] = assignment.environment();
  (*env)["APPSUP_NODE"] = node;
  (*env)["APPSUP_ADDRESS"] = options.address;
  const std::string data = DataFolder(options, assignment);
  if (!data.empty()) (*env)["APPSUP_DATA_DIR"] = data;
  if (assignment.fenced() && assignment.fence_token() != 0) {
    (*env)["APPSUP_FENCE_TOKEN"] = absl::StrCat(assignment.fence_token());
  }
}

ProcessLimits LimitsOf(const api::Resources& resources) {
  return {resources.cpu_millis().limit(), resources.memory_bytes().limit(),
          resources.pids().limit()};
}

const google::protobuf::RepeatedPtrField<std::string>& CommandOf(const api::Assignment& a) {
  return a.setup() ? a.spec().setup().command() : a.spec().runtime().process().command();
}

std::string WorkingDir(const CoreOptions& options, const InstanceRecord& record) {
  const std::string base = record.artifact_folder().empty()
                               ? InstanceFolder(options, record.assignment().uid())
                               : record.artifact_folder();
  const std::string& wanted = record.assignment().spec().runtime().process().working_dir();
  if (wanted.empty()) return base;
  return wanted.front() == '/' ? wanted : absl::StrCat(base, "/", wanted);
}

std::string LogFolder(const CoreOptions& options, const std::string& uid) {
  return absl::StrCat(options.log_dir, "/", uid);
}

}  // namespace

std::string InstanceFolder(const CoreOptions& options, const std::string& uid) {
  return absl::StrCat(options.instances_dir, "/", uid);
}

std::string DataFolder(const CoreOptions& options, const api::Assignment& assignment) {
  const api::Data& data = assignment.spec().data();
  const std::string slot =
      absl::StrCat(assignment.app_uid(), "/", assignment.environment(), "-", assignment.slot());
  if (data.kind() == api::DATA_KIND_NODE) return absl::StrCat(options.data_dir, "/", slot);
  if (data.kind() == api::DATA_KIND_SHARED) return absl::StrCat(data.path(), "/", slot);
  return "";
}

std::string SlotKey(const api::Assignment& assignment) {
  return absl::StrCat(assignment.app_uid(), "/", assignment.environment(), "/", assignment.slot());
}

ProcessId IdOf(const InstanceRecord& record) {
  const auto kind = record.assignment().setup() ? ProcessKind::kSetup : ProcessKind::kMain;
  return {record.assignment().uid(), kind, record.attempt()};
}

std::map<std::string, std::string> AppEnvironment(const CoreOptions& options,
                                                  const std::string& node,
                                                  const InstanceRecord& record) {
  const api::Assignment& assignment = record.assignment();
  std::map<std::string, std::string> env = {
      {"PATH", kPath},
      {"HOME", InstanceFolder(options, assignment.uid())},
      {"HOST", options.listen_address},
  };
  bool first = true;
  for (const api::Port& port : assignment.spec().ports()) {
    const auto number = record.ports().find(port.name());
    if (number == record.ports().end()) continue;
    if (first) env["PORT"] = absl::StrCat(number->second);
    first = false;
    env[absl::StrCat("PORT_", VariablePart(port.name()))] = absl::StrCat(number->second);
  }
  for (const auto& [name, value] : assignment.spec().env()) env[name] = value;
  AddIdentity(options, node, record, &env);
  return env;
}

StartRequest MakeStartRequest(const CoreOptions& options, const std::string& node,
                              const InstanceRecord& record) {
  const api::Assignment& assignment = record.assignment();
  const api::AppSpec& spec = assignment.spec();
  StartRequest request;
  request.id = IdOf(record);
  request.app_uid = assignment.app_uid();
  request.command.assign(CommandOf(assignment).begin(), CommandOf(assignment).end());
  for (auto& [name, value] : AppEnvironment(options, node, record)) {
    request.env.emplace_back(name, value);
  }
  request.working_dir = WorkingDir(options, record);
  request.user = spec.runtime().process().user();
  request.folders.push_back({InstanceFolder(options, assignment.uid())});
  const std::string data = DataFolder(options, assignment);
  if (!data.empty()) request.folders.push_back({data});
  const std::string logs = LogFolder(options, assignment.uid());
  request.folders.push_back({logs, FolderOwner::kAgent});
  request.limits = LimitsOf(spec.resources());
  request.stdout_path = absl::StrCat(logs, "/", record.attempt(), ".stdout");
  request.stderr_path = absl::StrCat(logs, "/", record.attempt(), ".stderr");
  request.log_bound_bytes = options.log_bound_bytes;
  request.stop_signal = SignalNumber(spec.stop().signal());
  request.stop_grace = GracePeriod(spec);
  return request;
}

absl::Duration GracePeriod(const api::AppSpec& spec) {
  return DurationOr(spec.stop().grace_period(), kDefaultGrace);
}

absl::Duration SetupTimeout(const api::AppSpec& spec) {
  return DurationOr(spec.setup().timeout(), kDefaultSetupTimeout);
}

}  // namespace appsup::agent
