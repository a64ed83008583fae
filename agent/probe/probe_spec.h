#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/probe/status_expectation.h"
#include "agent/probe/threshold.h"
#include "appsupervisor/v1/app.pb.h"

namespace appsup::agent {

inline constexpr absl::Duration kDefaultCheckPeriod = absl::Seconds(10);
inline constexpr absl::Duration kDefaultCheckTimeout = absl::Seconds(2);
inline constexpr absl::Duration kMinCheckPeriod = absl::Milliseconds(100);

enum class ProbeKind { kHttp, kTcp, kExec };

// A check with everything resolved: no port names, no defaults left to fill in.
struct ProbeSpec {
  ProbeKind kind = ProbeKind::kTcp;
  std::string address = "127.0.0.1";  // An IP address, v6 without brackets. http and tcp.
  uint16_t port = 0;                  // http and tcp.
  std::string path = "/";             // http; begins with a slash.
  StatusExpectation expect;           // http
  std::vector<std::string> command;   // exec
  absl::Duration period = kDefaultCheckPeriod;
  absl::Duration timeout = kDefaultCheckTimeout;
  ThresholdOptions threshold;
};

// Fills in the defaults of app.proto and looks port names up in `ports` (name -> number of this
// instance). INVALID_ARGUMENT names the field and the value: a port that is neither a known name
// nor a number, no kind, a period below kMinCheckPeriod, an empty command.
absl::StatusOr<ProbeSpec> ResolveProbe(const appsupervisor::v1::Check& check,
                                       const std::string& address,
                                       const std::map<std::string, uint16_t>& ports);

}  // namespace appsup::agent
