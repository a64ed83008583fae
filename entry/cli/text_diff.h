#pragma once

#include <string>

namespace appsup::cli {

// A unified diff with three lines of context, headed by `--- before_name` and `+++ after_name`.
// Empty if the texts are equal. Meant for texts of some hundred lines: takes lines² time and
// memory.
std::string UnifiedDiff(const std::string& before_name, const std::string& before,
                        const std::string& after_name, const std::string& after);

}  // namespace appsup::cli
