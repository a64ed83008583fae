// The rules of AppSpec.
#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "common/resource_name.h"
#include "entry/core/app_validation.h"
#include "entry/core/proto_time.h"
#include "entry/core/signal_name.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxEnv = 256;
constexpr size_t kMaxEnvBytes = 128 << 10;
constexpr int kMaxPorts = 32;
constexpr size_t kMaxPortName = 15;
constexpr int32_t kMaxPortNumber = 65535;
constexpr int32_t kMaxCrashLoopCount = 1000;
constexpr int64_t kMaxAmount = int64_t{1} << 60;
constexpr absl::Duration kDay = absl::Hours(24);

bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

bool IsSha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

void ValidatePath(const std::string& field, const std::string& path, Violations& violations) {
  if (path.size() > kMaxPath || HasNul(path)) {
    violations.Add(field, "must be a path of at most 4,096 bytes without a NUL");
  }
}

void ValidateEnums(const std::string& path, const google::protobuf::Message& message,
                   Violations& violations) {
  const auto* descriptor = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  for (int at = 0; at < descriptor->field_count(); ++at) {
    const auto* field = descriptor->field(at);
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_ENUM ||
        field->is_repeated()) {
      continue;
    }
    const int value = reflection->GetEnumValue(message, field);
    if (field->enum_type()->FindValueByNumber(value) == nullptr) {
      violations.Add(path + "." + field->name(),
                     fmt::format("{} is no value of {}", value, field->enum_type()->name()));
    }
  }
}

void ValidateArtifact(const std::string& path, const api::Artifact& artifact,
                      Violations& violations) {
  ValidateEnums(path, artifact, violations);
  switch (artifact.source_case()) {
    case api::Artifact::kUri: {
      const std::string& uri = artifact.uri();
      const bool known =
          uri.starts_with("https://") || uri.starts_with("http://") || uri.starts_with("file:///");
      if (!known || uri.size() > kMaxPath || HasControl(uri) || uri.ends_with("//")) {
        violations.Add(path + ".uri", Quoted(uri) +
                                          " must be an http, https or file URI such as "
                                          "https://files.example/app.tgz or file:///srv/app.tgz");
      }
      break;
    }
    case api::Artifact::kBlob:
      if (!artifact.blob().starts_with("blobs/") || !IsSha256(artifact.blob().substr(6))) {
        violations.Add(path + ".blob", Quoted(artifact.blob()) +
                                           " must be blobs/ and the 64 lower-case hex digits of a "
                                           "pushed blob's SHA-256");
      } else if (!artifact.sha256().empty() && artifact.sha256() != artifact.blob().substr(6)) {
        violations.Add(path + ".sha256", "differs from the blob's name; leave it out");
      }
      break;
    case api::Artifact::SOURCE_NOT_SET:
      violations.Add(path,
                     "needs `uri` or `blob`; leave `artifact` out if there is nothing to "
                     "fetch");
      break;
  }
  if (!artifact.sha256().empty() && !IsSha256(artifact.sha256())) {
    violations.Add(path + ".sha256",
                   Quoted(artifact.sha256()) + " must be 64 lower-case hex digits");
  }
}

void ValidateRuntime(const std::string& path, const api::AppSpec& spec, Violations& violations) {
  if (spec.runtime().kind_case() == api::Runtime::KIND_NOT_SET) {
    violations.Add(path,
                   "is required: say how the app is run, as in "
                   "process: {command: [./server]}");
    return;
  }
  const api::ProcessRuntime& process = spec.runtime().process();
  ValidateCommand(path + ".process.command", process.command(), violations);
  ValidatePath(path + ".process.working_dir", process.working_dir(), violations);
  if (process.user().size() > 64 || HasControl(process.user())) {
    violations.Add(path + ".process.user", "must be a user's name of at most 64 characters");
  }
}

bool IsEnvName(const std::string& name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  });
}

void ValidateEnv(const std::string& path, const api::AppSpec& spec, Violations& violations) {
  std::map<std::string, std::string> ordered(spec.env().begin(), spec.env().end());
  if (ordered.size() > kMaxEnv) {
    violations.Add(
        path, fmt::format("has {} variables; at most {} are allowed", ordered.size(), kMaxEnv));
  }
  size_t bytes = 0;
  for (const auto& [name, value] : ordered) {
    bytes += name.size() + value.size() + 2;
    if (!IsEnvName(name)) {
      violations.Add(path, Quoted(name) +
                               " is no name of a variable: letters, digits and _, not "
                               "beginning with a digit");
    } else if (HasNul(value)) {
      violations.Add(path + "." + name, "must not contain a NUL");
    }
  }
  if (bytes > kMaxEnvBytes) {
    violations.Add(
        path, fmt::format("has {} bytes together; at most {} are allowed", bytes, kMaxEnvBytes));
  }
}

void ValidatePorts(const std::string& path, const api::AppSpec& spec, Violations& violations) {
  if (spec.ports_size() > kMaxPorts) {
    violations.Add(
        path, fmt::format("has {} ports; at most {} are allowed", spec.ports_size(), kMaxPorts));
  }
  std::set<std::string> names;
  std::set<std::pair<int32_t, bool>> numbers;
  for (int at = 0; at < spec.ports_size(); ++at) {
    const api::Port& port = spec.ports(at);
    const std::string field = fmt::format("{}[{}]", path, at);
    ValidateEnums(field, port, violations);
    if (!IsValidId(port.name()) || port.name().size() > kMaxPortName) {
      violations.Add(field + ".name", Quoted(port.name()) +
                                          " must be 1 to 15 characters of a-z, 0-9 and '-', "
                                          "beginning with a letter and not ending with '-'");
    } else if (!names.insert(port.name()).second) {
      violations.Add(field + ".name", Quoted(port.name()) + " is the name of another port");
    }
    if (port.number() < 0 || port.number() > kMaxPortNumber) {
      violations.Add(field + ".number", fmt::format("is {}; must be from 1 to {}, or 0 to have one "
                                                    "picked",
                                                    port.number(), kMaxPortNumber));
    } else if (port.number() != 0 &&
               !numbers.emplace(port.number(), port.protocol() == api::PORT_PROTOCOL_UDP).second) {
      violations.Add(field + ".number",
                     fmt::format("{} is the number of another port", port.number()));
    }
  }
}

void ValidateRestart(const std::string& path, const api::Restart& restart, Violations& violations) {
  ValidateEnums(path, restart, violations);
  ValidateDuration(path + ".initial_backoff", restart.has_initial_backoff(),
                   restart.initial_backoff(), absl::Milliseconds(10), kDay, violations);
  ValidateDuration(path + ".max_backoff", restart.has_max_backoff(), restart.max_backoff(),
                   absl::Milliseconds(10), kDay, violations);
  if (restart.has_initial_backoff() && restart.has_max_backoff() &&
      FromProtoDuration(restart.initial_backoff()) > FromProtoDuration(restart.max_backoff())) {
    violations.Add(path + ".max_backoff", "must not be shorter than initial_backoff");
  }
  const api::CrashLoop& loop = restart.crash_loop();
  if (loop.count() < 0 || loop.count() > kMaxCrashLoopCount) {
    violations.Add(path + ".crash_loop.count",
                   fmt::format("is {}; must be from 1 to {}, or 0 for the default", loop.count(),
                               kMaxCrashLoopCount));
  }
  ValidateDuration(path + ".crash_loop.window", loop.has_window(), loop.window(), absl::Seconds(1),
                   kDay, violations);
  ValidateDuration(path + ".crash_loop.retry", loop.has_retry(), loop.retry(), absl::Seconds(1),
                   kDay, violations);
}

void ValidateAmount(const std::string& path, const api::ResourceAmount& amount,
                    Violations& violations) {
  for (auto [name, value] : {std::pair("reserve", amount.reserve()), {"limit", amount.limit()}}) {
    if (value < 0 || value > kMaxAmount) {
      violations.Add(path + "." + name, fmt::format("is {}; must not be less than 0 or beyond any "
                                                    "machine",
                                                    value));
    }
  }
  if (amount.limit() > 0 && amount.reserve() > amount.limit()) {
    violations.Add(path + ".reserve", fmt::format("{} is more than the limit of {}",
                                                  amount.reserve(), amount.limit()));
  }
}

void ValidateData(const std::string& path, const api::Data& data, Violations& violations) {
  ValidateEnums(path, data, violations);
  const bool shared = data.kind() == api::DATA_KIND_SHARED;
  if (shared && !data.path().starts_with('/')) {
    violations.Add(path + ".path",
                   "is required with SHARED: an absolute folder that is mounted on "
                   "every node");
  } else if (!shared && !data.path().empty()) {
    violations.Add(path + ".path", "is only allowed with SHARED; leave it out");
  }
  ValidatePath(path + ".path", data.path(), violations);
}

void ValidateUpdate(const std::string& path, const api::Update& update, Violations& violations) {
  ValidateEnums(path, update, violations);
  if (update.has_max_surge()) {
    ValidateReplicas(path + ".max_surge", update.max_surge(), violations);
  }
  if (update.has_max_unavailable()) {
    ValidateReplicas(path + ".max_unavailable", update.max_unavailable(), violations);
  }
  if (update.has_max_surge() && update.max_surge() == 0 && update.max_unavailable() == 0 &&
      update.strategy() == api::UPDATE_STRATEGY_ROLLING) {
    violations.Add(path + ".max_surge",
                   "must not be 0 while max_unavailable is 0: no update could "
                   "begin");
  }
  ValidateDuration(path + ".progress_deadline", update.has_progress_deadline(),
                   update.progress_deadline(), absl::Seconds(1), 7 * kDay, violations);
}

void ValidateDisconnect(const std::string& path, const api::AppSpec& spec, Violations& violations) {
  const api::Disconnect& disconnect = spec.disconnect();
  ValidateEnums(path, disconnect, violations);
  const bool stops = disconnect.at_lease_end() == api::AT_LEASE_END_STOP;
  if (disconnect.replace() == api::REPLACE_AFTER_STOP && !stops) {
    violations.Add(
        path + ".replace",
        "AFTER_STOP needs at_lease_end STOP: only then is it known when the old copy has "
        "ended");
  }
  const bool replaces =
      disconnect.replace() == api::REPLACE_AFTER || disconnect.replace() == api::REPLACE_AFTER_STOP;
  if (replaces && spec.data().kind() == api::DATA_KIND_NODE) {
    violations.Add(path + ".replace",
                   "must be NEVER while data is NODE: on another node the app would start without "
                   "its data");
  }
  if (disconnect.has_lost_after() && disconnect.replace() != api::REPLACE_AFTER &&
      disconnect.replace() != api::REPLACE_UNSPECIFIED) {
    violations.Add(path + ".lost_after", "is only allowed with replace AFTER; leave it out");
  }
  ValidateDuration(path + ".lost_after", disconnect.has_lost_after(), disconnect.lost_after(),
                   absl::ZeroDuration(), kDay, violations);
}

}  // namespace

void ValidateSpec(const std::string& path, const api::AppSpec& spec, Violations& violations) {
  ValidateEnums(path, spec, violations);
  if (spec.has_replicas()) ValidateReplicas(path + ".replicas", spec.replicas(), violations);
  ValidateEnums(path + ".placement", spec.placement(), violations);
  ValidateLabels(path + ".placement.node_selector", spec.placement().node_selector(), violations);
  ValidateUpdate(path + ".update", spec.update(), violations);
  if (spec.has_artifact()) ValidateArtifact(path + ".artifact", spec.artifact(), violations);
  ValidateRuntime(path + ".runtime", spec, violations);
  if (spec.has_install()) {
    ValidateCommand(path + ".install.command", spec.install().command(), violations);
    ValidateDuration(path + ".install.timeout", spec.install().has_timeout(),
                     spec.install().timeout(), absl::Seconds(1), kDay, violations);
  }
  if (spec.has_setup()) {
    ValidateCommand(path + ".setup.command", spec.setup().command(), violations);
    ValidateDuration(path + ".setup.timeout", spec.setup().has_timeout(), spec.setup().timeout(),
                     absl::Seconds(1), kDay, violations);
    ValidateText(path + ".setup.version", spec.setup().version(), 128, violations);
  }
  ValidateEnv(path + ".env", spec, violations);
  ValidatePorts(path + ".ports", spec, violations);
  if (spec.checks().has_readiness()) {
    ValidateCheck(path + ".checks.readiness", spec.checks().readiness(), spec, violations);
  }
  ValidateRestart(path + ".restart", spec.restart(), violations);
  if (!spec.stop().signal().empty() && !IsSignalName(spec.stop().signal())) {
    violations.Add(path + ".stop.signal",
                   Quoted(spec.stop().signal()) + " is no signal; write a name such as SIGTERM");
  }
  ValidateDuration(path + ".stop.grace_period", spec.stop().has_grace_period(),
                   spec.stop().grace_period(), absl::ZeroDuration(), kDay, violations);
  ValidateEnums(path + ".resources", spec.resources(), violations);
  ValidateAmount(path + ".resources.cpu_millis", spec.resources().cpu_millis(), violations);
  ValidateAmount(path + ".resources.memory_bytes", spec.resources().memory_bytes(), violations);
  ValidateAmount(path + ".resources.pids", spec.resources().pids(), violations);
  ValidateData(path + ".data", spec.data(), violations);
  ValidateDisconnect(path + ".disconnect", spec, violations);
}

}  // namespace appsup::entry
