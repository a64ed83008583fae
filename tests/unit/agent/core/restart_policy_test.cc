#include "agent/core/restart_policy.h"

#include <catch2/catch.hpp>

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr uint64_t kMiddle = uint64_t{1} << 63;  // No jitter.

TEST_CASE("restart policy: who is started again") {
  struct Case {
    api::RestartPolicy policy;
    bool success;
    bool again;
  };
  const Case c = GENERATE(values<Case>({{api::RESTART_POLICY_ALWAYS, true, true},
                                        {api::RESTART_POLICY_ALWAYS, false, true},
                                        {api::RESTART_POLICY_ON_FAILURE, true, false},
                                        {api::RESTART_POLICY_ON_FAILURE, false, true},
                                        {api::RESTART_POLICY_NEVER, true, false},
                                        {api::RESTART_POLICY_NEVER, false, false}}));
  RestartRules rules;
  rules.policy = c.policy;
  RestartMemory memory;
  CHECK(DecideRestart(rules, c.success, {}, absl::Seconds(9), 0, &memory).again == c.again);
}

TEST_CASE("restart policy: the delay doubles up to its greatest value") {
  RestartRules rules;
  rules.loop_count = 1000;
  RestartMemory memory;
  absl::Duration now = absl::Seconds(100);
  for (int64_t seconds : {1, 2, 4, 8, 16, 32, 60, 60}) {
    CHECK(DecideRestart(rules, false, {}, now, kMiddle, &memory).delay == absl::Seconds(seconds));
    now += absl::Seconds(1);
  }
}

TEST_CASE("restart policy: the jitter is 20 percent") {
  RestartRules rules;
  RestartMemory low;
  RestartMemory high;
  const auto now = absl::Seconds(1);
  CHECK(DecideRestart(rules, false, {}, now, 0, &low).delay == absl::Milliseconds(800));
  const absl::Duration most = DecideRestart(rules, false, {}, now, ~uint64_t{0}, &high).delay;
  CHECK(most > absl::Milliseconds(1199));
  CHECK(most <= absl::Milliseconds(1200));
}

TEST_CASE("restart policy: after a stable run the delay begins anew") {
  RestartRules rules;
  rules.loop_count = 1000;
  RestartMemory memory;
  for (int i = 0; i < 4; ++i) DecideRestart(rules, false, {}, absl::Seconds(i), kMiddle, &memory);
  const auto delay = [&](absl::Duration uptime) {
    RestartMemory copy = memory;
    return DecideRestart(rules, false, uptime, absl::Hours(1), kMiddle, &copy).delay;
  };
  CHECK(delay(absl::Seconds(79)) == absl::Seconds(16));  // The last delay was 8 s.
  CHECK(delay(absl::Seconds(80)) == absl::Seconds(1));
}

TEST_CASE("restart policy: five exits in five minutes are a loop with one try every five minutes") {
  RestartRules rules;
  RestartMemory memory;
  absl::Duration now = absl::Hours(1);
  for (int i = 0; i < 4; ++i) {
    CHECK_FALSE(DecideRestart(rules, false, absl::Seconds(50), now, kMiddle, &memory).crash_loop);
    now += absl::Seconds(60);
  }
  RestartVerdict verdict = DecideRestart(rules, false, absl::Seconds(50), now, kMiddle, &memory);
  CHECK(verdict.crash_loop);
  CHECK(verdict.exits_in_window == 5);
  CHECK(verdict.delay == absl::Minutes(5));
  // Its single tries lie outside the window; it is a loop all the same.
  now += absl::Minutes(6);
  verdict = DecideRestart(rules, false, absl::Seconds(50), now, kMiddle, &memory);
  CHECK(verdict.crash_loop);
  CHECK(verdict.delay == absl::Minutes(5));
  now += absl::Minutes(11);
  verdict = DecideRestart(rules, false, absl::Minutes(5), now, kMiddle, &memory);
  CHECK_FALSE(verdict.crash_loop);
  CHECK(verdict.delay == absl::Seconds(1));
}

TEST_CASE("restart policy: exits far apart are no loop") {
  RestartRules rules;
  RestartMemory memory;
  for (int i = 0; i < 20; ++i) {
    CHECK_FALSE(DecideRestart(rules, false, {}, absl::Minutes(2 * i), kMiddle, &memory).crash_loop);
  }
  CHECK(memory.exits.size() == 5);
}

TEST_CASE("restart policy: the spec's rules, and values without sense") {
  api::Restart restart;
  restart.mutable_initial_backoff()->set_seconds(3);
  restart.mutable_max_backoff()->set_seconds(-1);
  restart.mutable_crash_loop()->set_count(2);
  const RestartRules rules = RulesOf(restart);
  CHECK(rules.policy == api::RESTART_POLICY_ALWAYS);
  CHECK(rules.initial_backoff == absl::Seconds(3));
  CHECK(rules.max_backoff == absl::Seconds(60));
  CHECK(rules.loop_count == 2);
  CHECK(rules.loop_retry == absl::Minutes(5));
}

}  // namespace
}  // namespace appsup::agent
