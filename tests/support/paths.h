// Where a test finds the project's programs and files, whatever folder it was built in.
#pragma once

#include <string>

namespace appsup::testing {

// The folder of this test program, which holds appsup-entry, appsup-agent, appsup-keeper and appsup
// of the same build.
std::string BinDir();

// The top of the source tree.
std::string SourceDir();

}  // namespace appsup::testing
