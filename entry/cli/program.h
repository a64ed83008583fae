#pragma once

#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/random.h"
#include "entry/cli/settings.h"

namespace appsup::cli {

// The whole of `appsup` but what is the process': `arguments` without the program's name. Returns
// the exit code.
int RunProgram(const std::vector<std::string>& arguments, const Surroundings& surroundings,
               std::istream& in, std::ostream& out, std::ostream& err, Clock& clock,
               Random& random);

}  // namespace appsup::cli
