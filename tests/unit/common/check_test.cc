#include "common/check.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "common/build_info.h"
#include "common/clock.h"

namespace appsup {
namespace {

// The signal that ended a child which ran `act`, or 0 if it ended by itself.
template <class Act>
int SignalOf(Act act) {
  pid_t child = fork();
  if (child == 0) {
    // Catch2 would report the child's abort as this program's.
    signal(SIGABRT, SIG_DFL);
    close(STDERR_FILENO);
    act();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE("check: a broken invariant aborts, a kept one does not") {
  CHECK(SignalOf([] { APPSUP_CHECK(1 + 1 == 2); }) == 0);
  CHECK(SignalOf([] { APPSUP_CHECK(1 + 1 == 3); }) == SIGABRT);
  CHECK(SignalOf([] { APPSUP_CHECK(1 + 1 == 3, "arithmetic broke"); }) == SIGABRT);
}

TEST_CASE("check: a reported bug is counted each time, and aborts where that is wanted") {
  SetAbortOnBug(false);
  const uint64_t before = ReportedBugs();
  for (int i = 0; i < 3; ++i) REPORT_BUG("the test says so");
  CHECK(ReportedBugs() == before + 3);
  CHECK(SignalOf([] {
          SetAbortOnBug(true);
          REPORT_BUG("the test says so");
        }) == SIGABRT);
}

TEST_CASE("clock: boot time never falls and wall time is this century's") {
  SystemClock clock;
  Moment first = clock.Now();
  Moment second = clock.Now();
  CHECK(second.boot >= first.boot);
  CHECK(first.boot > absl::ZeroDuration());
  CHECK(first.wall > absl::FromUnixSeconds(1700000000));
}

TEST_CASE("build info: the version is set") { CHECK(std::string(kVersion).size() >= 5); }

}  // namespace appsup
