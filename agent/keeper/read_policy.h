#pragma once

#include <optional>
#include <string>

#include "agent/keeper/policy.h"

namespace appsup::keeper {

// Runs appsup-keeper-config, which lies beside this program, on `file`. Nothing: it has told on
// standard error what is wrong.
std::optional<Policy> ReadPolicyByProgram(const std::string& file);

}  // namespace appsup::keeper
