#pragma once

#include "entry/core/method_table.h"

namespace appsup::entry {

// Parts of AddAppMethods.
void AddAppVerbs(MethodTable& table);
void AddRevisionMethods(MethodTable& table);

// The app with the content of an older revision: RollbackApp, and CancelOperation with rollback.
api::Operation RollBackTo(CallContext& context, const std::string& app_name,
                          const rec::RevisionRecord& revision);

}  // namespace appsup::entry
