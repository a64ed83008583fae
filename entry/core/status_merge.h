#pragma once

#include "absl/time/time.h"
#include "appsupervisor/v1/link.pb.h"
#include "entry/core/catalog.h"
#include "entry/core/dirty.h"

// How an agent's reports get into the catalog. Core thread only.
namespace appsup::entry {

// By (attempt, sequence), which never goes backwards. The end of a REMOVE is news whatever its
// numbers are: an agent that lost its journal counts anew.
bool IsNews(const rec::InstanceRecord& record, const api::InstanceStatus& status);

// Puts a report that is news into the record. Bounds what a peer may make the catalog keep.
// Returns whether the app has to be looked at: anything but a measurement changed.
bool MergeStatus(const api::InstanceStatus& status, absl::Time now, rec::InstanceRecord& record);

// The agent will not carry out the newest statement. Returns false if a newer one is out.
bool MergeRefusal(const api::AssignmentRefused& refused, absl::Time now,
                  rec::InstanceRecord& record);

// Writes the digest of an artifact that was fetched into its revision if none is there yet; the
// statements of its instances then name it.
void PinArtifact(Catalog& catalog, Dirty& dirty, const rec::InstanceRecord& record,
                 const std::string& sha256);

}  // namespace appsup::entry
