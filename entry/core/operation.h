#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/random.h"
#include "entry/core/catalog.h"

// The life of operations. An app or a node has at most one unfinished operation: its record names
// it (AppRecord.operation, NodeRecord.drain_operation).
//
//   StartOperation ──▶ open ──▶ FinishOperation: response, or error
//                        └────▶ superseded: ABORTED, naming its successor
namespace appsup::entry {

struct NewOperation {
  std::string target;  // Name of an app or a node.
  std::string kind;    // CREATE, UPDATE, …, DRAIN.
  std::string actor;
  int64_t generation = 0;         // Of the target, that the operation waits for.
  int64_t rollback_revision = 0;  // What a cancel with rollback returns to; 0: nothing.
};

// Makes an open operation. The target's unfinished one, if any, ends ABORTED (reason SUPERSEDED).
// Returns its name. Names grow with time, so that order of names is order of age.
std::string StartOperation(Catalog& catalog, Random& ids, const NewOperation& operation,
                           const Moment& now);

// For a change that had nothing to do: it is done at once and supersedes nothing.
std::string AddFinishedOperation(Catalog& catalog, Random& ids, const NewOperation& operation,
                                 const Moment& now);

// Ends an open operation: OK puts the target's present view into `response` (nothing if the target
// is gone, so call this before erasing it), an error goes into `error`. The target forgets it.
// Nothing happens if the operation is done or forgotten.
void FinishOperation(Catalog& catalog, const std::string& name, const absl::Status& outcome,
                     const Moment& now);

// Does nothing if nothing changes, or if the operation is done or forgotten.
void SetOperationProgress(Catalog& catalog, const std::string& name, int step, int steps,
                          const std::string& message);

// The target's open operation; nullptr if it has none.
const rec::OperationRecord* OpenOperation(const Catalog& catalog, const std::string& target);

}  // namespace appsup::entry
