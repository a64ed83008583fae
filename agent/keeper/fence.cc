#include "agent/keeper/fence.h"

#include "absl/strings/str_cat.h"

namespace appsup::keeper {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kMaxStopBeforeMillis = int64_t{24} * 3600 * 1000;

}  // namespace

Fence FromMessage(const pb::Fence& message) {
  return {message.deadline_boot_nanos(), message.stop_before_millis() * kNanosPerMilli};
}

pb::Fence ToMessage(const Fence& fence) {
  pb::Fence message;
  message.set_deadline_boot_nanos(fence.deadline);
  message.set_stop_before_millis(fence.stop_before / kNanosPerMilli);
  return message;
}

absl::Status CheckFence(const pb::Fence& message) {
  if (message.deadline_boot_nanos() <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a fence with the deadline ", message.deadline_boot_nanos(), "; it must be above 0"));
  }
  if (message.stop_before_millis() < 0 || message.stop_before_millis() > kMaxStopBeforeMillis) {
    return absl::InvalidArgumentError(
        absl::StrCat("a fence whose stop begins ", message.stop_before_millis(),
                     " ms before its deadline; at most a day is allowed"));
  }
  return absl::OkStatus();
}

bool Extend(const Fence& wanted, Fence& fence) {
  bool changes = wanted.deadline > fence.deadline ||
                 (wanted.deadline == fence.deadline && wanted.stop_before != fence.stop_before);
  if (changes) fence = wanted;
  return changes;
}

}  // namespace appsup::keeper
