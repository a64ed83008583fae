#pragma once

#include <string>

#include "appsupervisor/v1/link.pb.h"
#include "entry/core/catalog.h"
#include "entry/core/dirty.h"
#include "entry/core/options.h"

// What an agent is told of an instance. Core thread only.
namespace appsup::entry {

// The newest statement, as the catalog has it: instance and revision.
api::Assignment BuildAssignment(const Catalog& catalog, const rec::InstanceRecord& record);

// The removal of an instance that an agent holds but the catalog does not know. Its data stays.
api::Assignment BuildRemoval(const api::HeldInstance& held);

// Call after a change of what the statement says. If it says something new now, it gets a higher
// generation and goes out.
void Restate(Catalog& catalog, Dirty& dirty, const std::string& instance_name);

// Notes whether the instance runs only under its node's lease, for the next Restate. The first time
// it does, it gets a token that is higher than those of all instances before it.
void SetFenced(Catalog& catalog, const std::string& instance_name, bool fenced);

// Sets `reserved` and the fixed ports to what the instance needs at present: nothing once it has
// ended and need not run.
void UpdateReservation(const CoreOptions& options, Catalog& catalog, Dirty& dirty,
                       const std::string& instance_name);

// Revision of an instance; nullptr if there is none, which only a purged app can have.
const rec::RevisionRecord* RevisionOf(const Catalog& catalog, const rec::InstanceRecord& record);

}  // namespace appsup::entry
