#pragma once

#include <string>

#include "entry/cli/commands.h"
#include "entry/cli/resource_rows.h"

namespace appsup::cli {

// Makes `group` and `group list` show all of a kind, as `appsup get` does.
void AddListCommand(Commands& commands, CLI::App& group, const std::string& kind);

// All of a kind, with the options that `appsup get` has.
Outcome ShowAll(Session& session, const std::string& kind, const std::string& selector,
                const std::string& filter, bool all_projects);

}  // namespace appsup::cli
