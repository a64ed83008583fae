#pragma once

#include <string_view>

namespace appsup::entry {

// A signal that an app may be stopped with, by its name on Linux: "SIGTERM", or "TERM".
inline bool IsSignalName(std::string_view name) {
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (const char* known :
       {"HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "PIPE", "ALRM", "TERM", "WINCH", "KILL"}) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace appsup::entry
