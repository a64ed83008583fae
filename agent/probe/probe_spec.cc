#include "agent/probe/probe_spec.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "common/status.h"
#include "common/text_units.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::Check;

absl::Status Invalid(const std::string& message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_CHECK", message);
}

absl::StatusOr<uint16_t> ResolvePort(const std::string& port,
                                     const std::map<std::string, uint16_t>& ports) {
  if (const auto found = ports.find(port); found != ports.end()) return found->second;
  uint16_t number = 0;
  const char* end = port.data() + port.size();
  const auto [stop, error] = std::from_chars(port.data(), end, number);
  if (error == std::errc() && stop == end && number > 0) return number;
  std::string known;
  for (const auto& [name, unused] : ports) known += (known.empty() ? "" : ", ") + name;
  return Invalid("port: \"" + port +
                 "\" is neither a number from 1 to 65535 nor a port of the app" +
                 (known.empty() ? ", which has none" : "; it has " + known));
}

// A protobuf duration, or `fallback` if it is unset.
template <class Proto>
absl::Duration DurationOr(bool set, const Proto& value, absl::Duration fallback) {
  if (!set) return fallback;
  return absl::Seconds(value.seconds()) + absl::Nanoseconds(value.nanos());
}

absl::Status FillTimes(const Check& check, ProbeSpec& spec) {
  spec.period = DurationOr(check.has_period(), check.period(), kDefaultCheckPeriod);
  spec.timeout = DurationOr(check.has_timeout(), check.timeout(), kDefaultCheckTimeout);
  if (spec.period < kMinCheckPeriod) {
    return Invalid("period: " + FormatDuration(std::max(spec.period, absl::ZeroDuration())) +
                   " is below the least, " + FormatDuration(kMinCheckPeriod));
  }
  if (spec.timeout <= absl::ZeroDuration()) return Invalid("timeout: must be above 0");
  if (check.success_threshold() < 0 || check.failure_threshold() < 0) {
    return Invalid("success_threshold, failure_threshold: must not be below 0");
  }
  if (check.success_threshold() > 0) spec.threshold.success = check.success_threshold();
  if (check.failure_threshold() > 0) spec.threshold.failure = check.failure_threshold();
  return absl::OkStatus();
}

absl::Status FillHttp(const appsupervisor::v1::HttpCheck& http,
                      const std::map<std::string, uint16_t>& ports, ProbeSpec& spec) {
  spec.kind = ProbeKind::kHttp;
  ASSIGN_OR_RETURN(spec.port, ResolvePort(http.port(), ports));
  ASSIGN_OR_RETURN(spec.expect, StatusExpectation::Parse(http.expect()));
  if (!http.path().empty()) spec.path = http.path();
  if (spec.path.front() != '/') {
    return Invalid("path: \"" + spec.path + "\" does not begin with a slash");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProbeSpec> ResolveProbe(const Check& check, const std::string& address,
                                       const std::map<std::string, uint16_t>& ports) {
  ProbeSpec spec;
  spec.address = address;
  RETURN_IF_ERROR(FillTimes(check, spec));
  switch (check.kind_case()) {
    case Check::kHttp:
      RETURN_IF_ERROR(FillHttp(check.http(), ports, spec));
      return spec;
    case Check::kTcp: {
      spec.kind = ProbeKind::kTcp;
      ASSIGN_OR_RETURN(spec.port, ResolvePort(check.tcp().port(), ports));
      return spec;
    }
    case Check::kExec:
      spec.kind = ProbeKind::kExec;
      spec.command.assign(check.exec().command().begin(), check.exec().command().end());
      if (spec.command.empty()) return Invalid("exec.command: must not be empty");
      return spec;
    case Check::KIND_NOT_SET:
      break;
  }
  return Invalid("one of http, tcp and exec must be set");
}

}  // namespace appsup::agent
