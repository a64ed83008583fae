#include "agent/core/restart_policy.h"

#include <algorithm>

#include "common/backoff.h"
#include "google/protobuf/duration.pb.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr double kJitter = 0.2;
constexpr int kStableFactor = 10;
constexpr absl::Duration kLeastStableRun = absl::Seconds(10);

void Set(const google::protobuf::Duration& from, absl::Duration* to) {
  const absl::Duration value = absl::Seconds(from.seconds()) + absl::Nanoseconds(from.nanos());
  if (value > absl::ZeroDuration()) *to = value;
}

Backoff BackoffOf(const RestartRules& rules) {
  BackoffOptions options;
  options.initial = rules.initial_backoff;
  options.max = std::max(rules.initial_backoff, rules.max_backoff);
  options.jitter = kJitter;
  return Backoff(options);
}

bool WasStable(const RestartRules& rules, absl::Duration uptime, const RestartMemory& memory) {
  if (memory.failures == 0) return false;
  const absl::Duration last = BackoffOf(rules).Ceiling(memory.failures - 1);
  return uptime >= std::max(kStableFactor * last, kLeastStableRun);
}

bool Wanted(api::RestartPolicy policy, bool success) {
  if (policy == api::RESTART_POLICY_NEVER) return false;
  return policy != api::RESTART_POLICY_ON_FAILURE || !success;
}

}  // namespace

RestartRules RulesOf(const api::Restart& restart) {
  RestartRules rules;
  if (restart.policy() != api::RESTART_POLICY_UNSPECIFIED) rules.policy = restart.policy();
  Set(restart.initial_backoff(), &rules.initial_backoff);
  Set(restart.max_backoff(), &rules.max_backoff);
  if (restart.crash_loop().count() > 0) rules.loop_count = restart.crash_loop().count();
  Set(restart.crash_loop().window(), &rules.loop_window);
  Set(restart.crash_loop().retry(), &rules.loop_retry);
  return rules;
}

RestartVerdict DecideRestart(const RestartRules& rules, bool success, absl::Duration uptime,
                             absl::Duration now, uint64_t random, RestartMemory* memory) {
  if (WasStable(rules, uptime, *memory)) memory->failures = 0;
  if (uptime >= rules.loop_window) *memory = {};
  memory->exits.push_back(now);
  while (memory->exits.size() > static_cast<size_t>(rules.loop_count)) {
    memory->exits.erase(memory->exits.begin());
  }
  const auto recent = std::count_if(memory->exits.begin(), memory->exits.end(),
                                    [&](absl::Duration t) { return now - t <= rules.loop_window; });
  memory->looping = memory->looping || recent >= rules.loop_count;
  RestartVerdict verdict;
  verdict.exits_in_window = static_cast<int>(recent);
  verdict.crash_loop = memory->looping;
  verdict.again = Wanted(rules.policy, success);
  BackoffOptions loop{rules.loop_retry, rules.loop_retry, 1, kJitter};
  verdict.delay = verdict.crash_loop
                      ? Backoff(loop).Next(0, random)
                      : BackoffOf(rules).Next(static_cast<uint32_t>(memory->failures), random);
  memory->failures = std::min(memory->failures + 1, 1'000'000);
  return verdict;
}

}  // namespace appsup::agent
