#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

// What to do when something cannot be (style: errors):
//   caused from outside          -> an absl::Status, tested
//   our own invariant is broken  -> APPSUP_CHECK: says where, and aborts
//   unlikely, but survivable     -> REPORT_BUG: logged once a minute per place, counted, and an
//                                   abort where AbortOnBug is set (all test runs)
// The names are long because Catch2 takes CHECK for itself in each test.

namespace appsup {

// Calls of REPORT_BUG since the start; shown as a metric.
uint64_t ReportedBugs();

// Off in production. Also switched on by APPSUP_ABORT_ON_BUG=1 in the environment.
void SetAbortOnBug(bool abort_on_bug);

namespace internal {

struct BugSite {
  const char* file;
  int line;
  std::atomic<int64_t> last_logged_ns{0};  // Steady clock; 0 = never.
};

void ReportBug(BugSite& site, std::string_view what);
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line,
                              std::string_view what = {});

}  // namespace internal
}  // namespace appsup

// APPSUP_CHECK(condition) or APPSUP_CHECK(condition, "what that means").
#define APPSUP_CHECK(condition, ...)                                                              \
  do {                                                                                            \
    if (!(condition)) [[unlikely]] {                                                              \
      ::appsup::internal::CheckFailed(#condition, __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__); \
    }                                                                                             \
  } while (false)

// Only evaluated in builds without NDEBUG: for checks that cost time.
#ifdef NDEBUG
#define APPSUP_DCHECK(condition, ...) \
  do {                                \
    (void)sizeof(!(condition));       \
  } while (false)
#else
#define APPSUP_DCHECK(condition, ...) APPSUP_CHECK(condition __VA_OPT__(, ) __VA_ARGS__)
#endif

#define REPORT_BUG(what)                                                    \
  do {                                                                      \
    static ::appsup::internal::BugSite appsup_bug_site{__FILE__, __LINE__}; \
    ::appsup::internal::ReportBug(appsup_bug_site, (what));                 \
  } while (false)
