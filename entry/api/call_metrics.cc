#include "entry/api/call_metrics.h"

#include <string>

namespace appsup::entry {

rpc::CallObserver CountCalls(Metrics& metrics) {
  prometheus::Histogram& seconds =
      metrics.Histogram("appsup_call_seconds", "Duration of calls that do not stream",
                        {0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 10, 60});
  return [&metrics, &seconds](const google::protobuf::MethodDescriptor& method,
                              grpc::StatusCode code, absl::Duration took) {
    const absl::StatusCode name = static_cast<absl::StatusCode>(code);
    metrics
        .Counter("appsup_calls_total", "Calls that ended",
                 {{"method", rpc::MethodName(method)}, {"code", absl::StatusCodeToString(name)}})
        .Increment();
    if (!method.server_streaming() && !method.client_streaming()) {
      seconds.Observe(absl::ToDoubleSeconds(took));
    }
  };
}

}  // namespace appsup::entry
