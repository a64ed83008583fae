#include "entry/core/instance_facts.h"

#include "entry/core/catalog.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr int kDefaultCrashLoopCount = 5;

bool IsFinal(api::InstanceState state) {
  return state == api::INSTANCE_STATE_EXITED || state == api::INSTANCE_STATE_FAILED ||
         state == api::INSTANCE_STATE_REJECTED || state == api::INSTANCE_STATE_REMOVED;
}

// "STARTING" → "is starting".
std::string DescribeState(const api::Instance& instance) {
  switch (instance.state()) {
    case api::INSTANCE_STATE_ASSIGNED:
      return "waits for its agent";
    case api::INSTANCE_STATE_ACCEPTED:
      return "was accepted by its agent";
    case api::INSTANCE_STATE_PREPARING:
      return "is being prepared";
    case api::INSTANCE_STATE_STARTING:
      return instance.has_next_attempt_time() ? "waits for its next attempt" : "is starting";
    case api::INSTANCE_STATE_RUNNING:
      return instance.ready() ? "is ready" : "runs, but is not ready";
    case api::INSTANCE_STATE_STOPPING:
      return "is stopping";
    case api::INSTANCE_STATE_EXITED:
      return instance.has_exit() ? DescribeExit(instance.exit()) : "ended";
    case api::INSTANCE_STATE_FAILED:
      return "failed";
    case api::INSTANCE_STATE_REJECTED:
      return "was rejected by its agent";
    case api::INSTANCE_STATE_REMOVED:
      return "was removed";
    default:
      return "is in an unknown state";
  }
}

}  // namespace

bool HasReported(const rec::InstanceRecord& record) {
  return record.applied_generation() == record.generation();
}

bool HasEnded(const rec::InstanceRecord& record) {
  if (record.loss() == rec::LOSS_ENDED) return true;
  return IsFinal(record.instance().state()) && HasReported(record);
}

bool IsLeaving(const rec::InstanceRecord& record) {
  return record.instance().desired() == api::DESIRED_STATE_REMOVE;
}

bool IsGone(const rec::InstanceRecord& record) {
  return IsLeaving(record) && record.instance().state() == api::INSTANCE_STATE_REMOVED &&
         HasReported(record);
}

bool IsServing(const rec::InstanceRecord& record) {
  const api::Instance& instance = record.instance();
  return instance.desired() == api::DESIRED_STATE_RUN && instance.ready() && instance.reachable();
}

bool HasCompleted(const rec::InstanceRecord& record, const api::AppSpec& spec) {
  const api::Instance& instance = record.instance();
  const api::RestartPolicy policy = spec.restart().policy();
  return instance.desired() == api::DESIRED_STATE_RUN &&
         instance.state() == api::INSTANCE_STATE_EXITED && HasReported(record) &&
         !IsBadExit(instance.exit()) &&
         (policy == api::RESTART_POLICY_NEVER || policy == api::RESTART_POLICY_ON_FAILURE);
}

bool HasGivenUp(const rec::InstanceRecord& record, const api::AppSpec& spec) {
  return record.instance().desired() == api::DESIRED_STATE_RUN && HasEnded(record) &&
         !HasCompleted(record, spec);
}

bool IsCrashLooping(const rec::InstanceRecord& record, const api::AppSpec& spec) {
  const int32_t set = spec.restart().crash_loop().count();
  // Each restart followed an exit, and the present wait follows one more.
  const int32_t exits =
      record.instance().restarts() + (record.instance().has_next_attempt_time() ? 1 : 0);
  return exits >= (set > 0 ? set : kDefaultCrashLoopCount);
}

bool KeepsNodeData(const api::AppSpec& spec) { return spec.data().kind() == api::DATA_KIND_NODE; }

bool IsBadExit(const api::Exit& exit) {
  return exit.code() != 0 || exit.signal() != 0 || exit.out_of_memory() || exit.unknown();
}

std::string DescribeExit(const api::Exit& exit) {
  if (exit.unknown()) return "ended while nobody watched";
  if (exit.out_of_memory()) return "was ended by the kernel for using too much memory";
  if (exit.signal() != 0) return fmt::format("was ended by signal {}", exit.signal());
  return fmt::format("exited with code {}", exit.code());
}

std::string DescribeTrouble(const rec::InstanceRecord& record) {
  const api::Instance& instance = record.instance();
  std::string text =
      fmt::format("{} on {} {}", IdOf(instance.name()), instance.node(), DescribeState(instance));
  if (!instance.reachable()) text += " as far as known: its node does not answer";
  if (!instance.message().empty()) text += ": " + instance.message();
  return text;
}

}  // namespace appsup::entry
