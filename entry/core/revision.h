#pragma once

#include <cstdint>
#include <string>

#include "appsupervisor/v1/app.pb.h"
#include "common/clock.h"
#include "entry/core/catalog.h"
#include "entry/core/options.h"

namespace appsup::entry {

// The fields of a spec that decide what runs.
api::AppSpec RevisionPart(const api::AppSpec& spec);

// `spec` with the fields that decide what runs taken from `part`.
api::AppSpec WithRevisionPart(api::AppSpec spec, const api::AppSpec& part);

// What setup of this revision is remembered by; "" without setup.
std::string SetupKey(const api::AppSpec& part);

// Adds the app's next revision, makes it the target, and forgets those that are neither in use nor
// among the newest `revisions_kept`. Returns its number.
int64_t AddRevision(const CoreOptions& options, Catalog& catalog, const std::string& app_name,
                    const api::AppSpec& part, const std::string& actor, const Moment& now);

std::string RevisionName(const std::string& app_name, int64_t number);

// Numbers of an app's revisions, newest first.
std::vector<int64_t> RevisionsOf(const Catalog& catalog, const std::string& app_name);

}  // namespace appsup::entry
