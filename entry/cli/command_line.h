#pragma once

#include <string>
#include <vector>

namespace appsup::cli {

// How `appsup run` runs what was typed behind "--".
struct CommandLine {
  std::vector<std::string> arguments;
  bool uses_port = false;  // It is told its port, so it can be expected to listen there.
  std::string note;        // What was changed and why; empty if nothing.
};

// An app gets its port in the variable PORT. An argument may name that or another variable that the
// app gets ($PORT, ${PORT_ADMIN}, $APPSUP_DATA_DIR): then the command runs by a shell that puts
// them in and is replaced by it. Other dollars stay as they are. `python3 -m http.server` without a
// port takes none from its environment, so $PORT is added.
CommandLine CommandLineOf(std::vector<std::string> typed);

}  // namespace appsup::cli
