#include "common/check.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "common/log.h"
#include "fmt/format.h"

namespace appsup {
namespace {

constexpr int64_t kLogPeriodNs = 60'000'000'000;

std::atomic<uint64_t> reported_bugs{0};

std::atomic<bool>& AbortOnBug() {
  static std::atomic<bool> abort_on_bug = [] {
    const char* value = std::getenv("APPSUP_ABORT_ON_BUG");
    return value != nullptr && std::string_view(value) == "1";
  }();
  return abort_on_bug;
}

int64_t SteadyNanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// True for one caller per period.
bool MayLog(internal::BugSite& site) {
  int64_t last = site.last_logged_ns.load();
  int64_t now = SteadyNanoseconds();
  if (last != 0 && now - last < kLogPeriodNs) return false;
  return site.last_logged_ns.compare_exchange_strong(last, now);
}

}  // namespace

uint64_t ReportedBugs() { return reported_bugs.load(); }

void SetAbortOnBug(bool abort_on_bug) { AbortOnBug().store(abort_on_bug); }

namespace internal {

void ReportBug(BugSite& site, std::string_view what) {
  reported_bugs.fetch_add(1);
  const bool abort = AbortOnBug().load();
  if (MayLog(site) || abort) {
    Log(LogLevel::kError, "bug",
        {{"what", what}, {"place", fmt::format("{}:{}", site.file, site.line)}});
  }
  if (abort) std::abort();
}

void CheckFailed(const char* condition, const char* file, int line, std::string_view what) {
  // Not through the log: its lock may be held by the very thread that found this.
  std::fprintf(stderr, "%s:%d: check failed: %s%s%.*s\n", file, line, condition,
               what.empty() ? "" : ": ", static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace internal
}  // namespace appsup
