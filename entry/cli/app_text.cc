#include "entry/cli/app_text.h"

#include <algorithm>
#include <cstring>

#include "entry/cli/time_text.h"

namespace appsup::cli {

namespace v1 = ::appsupervisor::v1;

Shade ShadeOf(v1::AppState state) {
  switch (state) {
    case v1::APP_STATE_RUNNING:
      return Shade::kGood;
    case v1::APP_STATE_FAILED:
    case v1::APP_STATE_BACKING_OFF:
    case v1::APP_STATE_UNKNOWN:
      return Shade::kBad;
    case v1::APP_STATE_STOPPED:
    case v1::APP_STATE_SLEEPING:
    case v1::APP_STATE_DELETED:
      return Shade::kFaint;
    default:  // All on their way, and what later entries may say.
      return Shade::kBusy;
  }
}

std::string UrlOf(const v1::App& app) {
  const v1::Endpoint* chosen = nullptr;
  for (const v1::Endpoint& endpoint : app.status().endpoints()) {
    if (chosen == nullptr || (endpoint.port() == "http" && chosen->port() != "http")) {
      chosen = &endpoint;
    }
  }
  if (chosen == nullptr) return "";
  for (const v1::Port& port : app.spec().ports()) {
    if (port.name() == chosen->port() && port.protocol() == v1::PORT_PROTOCOL_UDP) {
      return "udp://" + chosen->address();
    }
  }
  return (chosen->port() == "https" ? "https://" : "http://") + chosen->address();
}

std::string ReasonOf(const v1::App& app, absl::Time now) {
  const v1::AppStatus& status = app.status();
  if (status.state() == v1::APP_STATE_RUNNING || status.state() == v1::APP_STATE_STOPPED ||
      status.state() == v1::APP_STATE_DELETED) {
    return "";
  }
  if (status.state() == v1::APP_STATE_BACKING_OFF && status.has_last_failure()) {
    std::string text = status.last_failure().reason();
    if (status.has_next_attempt_time() && text.find("next try") == std::string::npos) {
      const absl::Duration wait = TimeOf(status.next_attempt_time()) - now;
      text += fmt::format("; next try in {} s", std::max<int64_t>(0, absl::ToInt64Seconds(wait)));
    }
    return text;
  }
  // The earlier in the life of an app, the nearer to the cause.
  static constexpr const char* kOrder[] = {"Placed",    "ArtifactReady", "SetUp",
                                           "Reachable", "Ready",         "UpToDate"};
  for (const char* type : kOrder) {
    for (const v1::Condition& condition : status.conditions()) {
      if (condition.type() == type && condition.status() != v1::CONDITION_STATUS_TRUE &&
          !condition.message().empty()) {
        return condition.message();
      }
    }
  }
  return status.state() == v1::APP_STATE_FAILED ? status.last_failure().reason() : "";
}

std::string ExitText(const v1::Exit& exit) {
  if (exit.unknown()) return "ended while nobody watched; exit code unknown";
  if (exit.out_of_memory()) return "killed by the kernel: out of memory";
  if (exit.signal() != 0) {
    const char* name = sigabbrev_np(exit.signal());
    return name == nullptr ? fmt::format("ended by signal {}", exit.signal())
                           : fmt::format("ended by signal {} (SIG{})", exit.signal(), name);
  }
  return fmt::format("exit code {}", exit.code());
}

std::string FailureText(const v1::LastFailure& failure, absl::Time now, const std::string& indent) {
  std::string text = fmt::format("{}{} ago: {}\n", indent, AgeText(now, failure.time()),
                                 OneLine(failure.reason()));
  if (failure.has_exit()) text += fmt::format("{}{}\n", indent, ExitText(failure.exit()));
  for (const std::string& line : failure.log_tail()) {
    text += fmt::format("{}| {}\n", indent, OneLine(line));
  }
  return text;
}

}  // namespace appsup::cli
