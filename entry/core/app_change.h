#pragma once

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "entry/core/method_table.h"

// Changes of apps that several methods make. They are applied: checks come before.
namespace appsup::entry {

// Fields of App that operators write.
const std::set<std::string>& WritableAppFields();

// The app by the name that the request's field `name` holds. INVALID_ARGUMENT or NOT_FOUND.
absl::StatusOr<const rec::AppRecord*> FindApp(CallContext& context, const std::string& name);

// FAILED_PRECONDITION if it is deleted.
absl::Status CheckNotDeleted(const rec::AppRecord& record);

// FindApp, CheckNotDeleted and CheckEtag.
absl::StatusOr<const rec::AppRecord*> FindLiveApp(CallContext& context, const std::string& name,
                                                  const std::string& etag);

// Inserts the app, with its first revision. `app` was checked.
api::Operation InsertApp(CallContext& context, const std::string& name, api::App app);

// Writes what operators write. A changed spec counts as a generation, a change of what runs makes a
// revision. The operation is done at once if the spec did not change.
api::Operation WriteApp(CallContext& context, const api::App& changed, const std::string& kind);

// Raises the restart nonce: every instance starts anew.
api::Operation RestartAll(CallContext& context, const std::string& name, const std::string& kind);

// An open operation on the app, which will be reconciled.
api::Operation OpenAppOperation(CallContext& context, const std::string& name,
                                const std::string& kind, int64_t rollback_revision = 0);

// A finished one: there was nothing to do.
api::Operation FinishedAppOperation(CallContext& context, const std::string& name,
                                    const std::string& kind);

// What a call with validate_only answers: the app as it would be.
api::Operation ValidatedOperation(CallContext& context, const api::App& app,
                                  const std::string& kind);

}  // namespace appsup::entry
