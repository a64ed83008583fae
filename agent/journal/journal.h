#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/core/agent_core.h"
#include "agent/core/effect.h"

namespace appsup::agent {

// What the agent must not forget: rows of bytes by table and key (journal.proto says what is in
// them). One thread at a time. tests/unit/agent/journal/journal_contract.h holds for each kind.
class Journal {
 public:
  virtual ~Journal() = default;

  // Everything that was written.
  virtual absl::StatusOr<JournalContents> Load() = 0;

  // All rows or none, in order (the last of one key wins); durable when it returns.
  // RESOURCE_EXHAUSTED (disk full) and UNAVAILABLE may pass: nothing was changed, the same rows may
  // be written again. After any other error it is not known what the disk holds: the process has to
  // end and read the journal anew.
  virtual absl::Status Write(const std::vector<JournalPut>& rows) = 0;
};

}  // namespace appsup::agent
