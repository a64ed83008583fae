// What an instance tells about itself.
#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/core/instance.h"
#include "agent/core/sentence.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr absl::Duration kUsageAtMostEvery = absl::Seconds(10);
constexpr double kUsageShare = 0.1;  // A smaller change is not worth a message.
constexpr int64_t kUsageMemory = 1 << 20;
constexpr int64_t kUsageCpuMillis = 20;

bool Differs(int64_t a, int64_t b, int64_t least) {
  const int64_t difference = std::abs(a - b);
  return difference >= least &&
         static_cast<double>(difference) >= kUsageShare * static_cast<double>(std::max(a, b));
}

// Limits of the spec that the driver does not enforce, by name.
std::vector<std::string> NotEnforced(const api::Resources& resources,
                                     const DriverDescription& driver) {
  std::vector<std::string> missing;
  const auto look = [&](const std::string& name, const api::ResourceAmount& amount) {
    const auto& enforces = driver.enforces;
    if (amount.limit() > 0 && std::find(enforces.begin(), enforces.end(), name) == enforces.end()) {
      missing.push_back(name);
    }
  };
  look("cpu", resources.cpu_millis());
  look("memory", resources.memory_bytes());
  look("pids", resources.pids());
  return missing;
}

bool HasLimits(const api::Resources& resources) {
  return resources.cpu_millis().limit() > 0 || resources.memory_bytes().limit() > 0 ||
         resources.pids().limit() > 0;
}

void AddCondition(api::InstanceStatus* status, const std::string& type, bool holds,
                  const std::string& reason, const std::string& message) {
  api::Condition* condition = status->add_conditions();
  condition->set_type(type);
  condition->set_status(holds ? api::CONDITION_STATUS_TRUE : api::CONDITION_STATUS_FALSE);
  condition->set_reason(reason);
  condition->set_message(message);
  condition->set_observed_generation(status->app_generation());
}

}  // namespace

api::InstanceState Instance::state() const {
  switch (phase_) {
    case Phase::kUnadopted:
      return record_.attempt() == 0 ? api::INSTANCE_STATE_ACCEPTED
                                    : api::INSTANCE_STATE_UNSPECIFIED;
    case Phase::kNew:
      return api::INSTANCE_STATE_ACCEPTED;
    case Phase::kFetching:
    case Phase::kChecking:
    case Phase::kWaiting:
      return record_.attempt() == 0 ? api::INSTANCE_STATE_PREPARING : api::INSTANCE_STATE_STARTING;
    case Phase::kSpawning:
      return api::INSTANCE_STATE_STARTING;
    case Phase::kRunning:
      return api::INSTANCE_STATE_RUNNING;
    case Phase::kStopping:
    case Phase::kRemoving:
      return api::INSTANCE_STATE_STOPPING;
    case Phase::kResting:
      return record_.rest().state();
    case Phase::kRemoved:
      return api::INSTANCE_STATE_REMOVED;
  }
  return api::INSTANCE_STATE_UNSPECIFIED;
}

api::InstanceStatus Instance::Status(const NodeContext& node) const {
  api::InstanceStatus status;
  status.set_uid(uid());
  status.set_attempt(record_.attempt());
  status.set_state(state());
  status.set_ready(ready_);
  status.set_generation(assignment().generation());
  status.set_app_generation(assignment().app_generation());
  status.set_restart_nonce(record_.has_open() ? record_.open().restart_nonce()
                                              : assignment().restart_nonce());
  status.set_restarts(record_.restarts());
  status.set_message(message_);
  status.set_artifact_sha256(record_.artifact_sha256());
  if (record_.has_last_exit()) *status.mutable_exit() = record_.last_exit();
  if (next_attempt_ != absl::InfiniteFuture()) {
    *status.mutable_next_attempt_time() = ToProto(next_attempt_);
  }
  if (start_failure_ != absl::InfinitePast()) {
    *status.mutable_start_failure_time() = ToProto(start_failure_);
  }
  if (record_.open().started()) {
    status.set_pid(record_.open().pid());
    *status.mutable_start_time() = record_.open().start_time();
    *status.mutable_usage() = usage_;
  }
  for (const api::Port& port : spec().ports()) {
    const auto number = record_.ports().find(port.name());
    if (number == record_.ports().end() || phase_ == Phase::kRemoved) continue;
    api::Endpoint* endpoint = status.add_endpoints();
    endpoint->set_port(port.name());
    const bool is_v6 = node.options.address.find(':') != std::string::npos;
    endpoint->set_address(absl::StrCat(is_v6 ? "[" : "", node.options.address, is_v6 ? "]" : "",
                                       ":", number->second));
  }
  status.set_fenced(assignment().fenced() && (fence_.held || !record_.has_open()));
  if (!record_.has_open()) *status.mutable_log_tail() = record_.log_tail();
  AddConditions(node, &status);
  return status;
}

void Instance::AddConditions(const NodeContext& node, api::InstanceStatus* status) const {
  if (spec().has_artifact()) {
    const bool fetched = !artifact_for_.empty() || record_.has_open();
    if (!artifact_problem_.empty()) {
      AddCondition(status, "ArtifactReady", false,
                   artifact_lasting_ ? "ArtifactUnusable" : "ArtifactUnavailable",
                   artifact_problem_);
    } else if (fetched) {
      AddCondition(status, "ArtifactReady", true, "Fetched",
                   absl::StrCat("sha256 ", record_.artifact_sha256()));
    } else {
      AddCondition(status, "ArtifactReady", false, "Fetching", "artifact is being made ready");
    }
  }
  if (!HasLimits(spec().resources())) return;
  const std::vector<std::string> missing = NotEnforced(spec().resources(), node.driver);
  if (missing.empty()) {
    AddCondition(status, "LimitsEnforced", true, "Enforced", "all limits are enforced");
  } else {
    AddCondition(status, "LimitsEnforced", false, "LimitsNotEnforced",
                 absl::StrCat("this node does not enforce ", absl::StrJoin(missing, ", "), ": ",
                              node.driver.message));
  }
}

void Instance::OnUsage(const ProcessUsage& usage, Turn& turn) {
  if (phase_ != Phase::kRunning || usage.id.attempt != record_.attempt()) return;
  const bool changed = Differs(usage.memory_bytes, usage_.memory_bytes(), kUsageMemory) ||
                       Differs(usage.cpu_millis, usage_.cpu_millis(), kUsageCpuMillis) ||
                       usage.pids != usage_.pids();
  if (!changed || turn.now.boot - usage_reported_ < kUsageAtMostEvery) return;
  usage_reported_ = turn.now.boot;
  usage_.set_cpu_millis(usage.cpu_millis);
  usage_.set_memory_bytes(usage.memory_bytes);
  usage_.set_pids(usage.pids);
  turn.report = true;
}

}  // namespace appsup::agent
