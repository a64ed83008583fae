#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "entry/core/app_view.h"

// Setup runs once per app and key. Its state is AppRecord.setups[key]; an attempt is an instance
// with `setup` set, whose end decides. Pure.
//
//   (none) ──attempt──▶ RUNNING ──exit 0──▶ SUCCEEDED: never again
//     ▲                    ├──else────────▶ FAILED: RetrySetup, or another key
//     │                    └──not known───▶ OUTCOME_UNKNOWN: RetrySetup, AcceptSetup, or, if
//     └──────────RetrySetup, retry_safe───────────┘           retry_safe, by itself
//
// RetrySetup sets the state back to UNSPECIFIED, AcceptSetup to SUCCEEDED.
namespace appsup::entry {

// Setup of the target revision is not needed, or has succeeded.
bool IsSetUp(const AppView& view);

// Where setup of the target revision stands; the default record if it was never tried.
const rec::SetupRecord& TargetSetup(const AppView& view);

// An attempt of which nothing was heard for this long after its node was lost counts as unknown: it
// should have ended by then. What its fence has ended counts at once.
absl::Duration SetupSilence(const AppView& view);

// Attempts that ended since the last look: key → what is known of it now. `silent_too_long`: uids
// of attempts for which SetupSilence has passed.
std::map<std::string, rec::SetupRecord> SettleSetups(const AppView& view,
                                                     const std::set<std::string>& silent_too_long,
                                                     absl::Time now);

// Setup of the target revision may be tried now: at most one attempt runs at a time.
bool MayTrySetup(const AppView& view);

// Instances of attempts that nobody needs any more: those that succeeded, and those of revisions
// that are neither the target nor the one that failed last.
std::vector<const rec::InstanceRecord*> SpentSetups(const Catalog& catalog, const AppView& view);

// Instances of attempts whose end is recorded, and that are still told to run.
std::vector<const rec::InstanceRecord*> EndedSetups(const AppView& view);

// Where an attempt that runs is, as a sentence.
std::string DescribeAttempt(const AppView& view, const rec::SetupRecord& setup);

// " Its last line: …", or "" if it wrote nothing.
std::string LastLineOf(const AppView& view, const rec::SetupRecord& setup);

}  // namespace appsup::entry
