#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace appsup::simulation {

// What operators do, and what goes wrong. The list is made before a run begins, so that a run can
// be repeated with a part of it.
enum class ActionKind {
  // Operators.
  kCreate,
  kUpdate,
  kUpdateBadly,
  kScale,
  kStop,
  kStart,
  kRestart,
  kDelete,
  kPurge,
  kUndelete,
  kRollback,
  kCancel,
  kRetrySetup,
  kAcceptSetup,
  kDrain,
  kResume,
  kCreateFenced,
  kCreateLoose,
  kFence,
  kCreateSetup,
  kChangeSetup,
  kAcceptCatalog,
  kReleaseBrake,
  kWatch,
  kRead,
  // The network.
  kPartition,
  kPartitionUp,
  kPartitionDown,
  kHalfOpen,
  kSlowNetwork,
  kRefuse,
  kGap,
  kSmallParts,
  kReset,
  // The entry.
  kEntryCrash,
  kEntryPower,
  kEntryTakeover,
  kCommitFails,
  kSlowDisk,
  kEntryWallJump,
  kEntryCutOff,
  kSlowWatchers,
  kEntryPause,
  // Nodes.
  kAgentCrash,
  kAgentPause,
  kReboot,
  kKeeperCrash,
  kKeeperUpgrade,
  kJournalFull,
  kJournalSlow,
  kJournalTorn,
  kJournalLost,
  kNodeWallJump,
  kAppCrashes,
  kSlowSpawn,
  kPortsBusy,
  kFetchFails,
  kGarbage,
  // The catalog is another one from then on.
  kRestore,
  kEmpty,
};

struct Action {
  int number = 0;  // Its place in the whole list: the name that --keep knows it by.
  absl::Duration at;
  ActionKind kind = ActionKind::kRead;
  int node = 0;
  int app = 0;
  absl::Duration length;  // Of a fault that ends by itself.
  uint64_t value = 0;     // Decides the rest.
};

// What a run has from its beginning.
struct Setting {
  int nodes = 3;
  int apps = 3;
  absl::Duration length;   // Until everything that was broken is mended.
  bool small_log = false;  // The change log is trimmed early.
  bool tiny_log = false;   // And very early.
};

struct Schedule {
  Setting setting;
  std::vector<Action> actions;  // In order of time.
};

Schedule MakeSchedule(uint64_t seed);

const char* NameOf(ActionKind kind);
// "12 at 0:31.2 partition n2 for 7s".
std::string Describe(const Action& action);

}  // namespace appsup::simulation
