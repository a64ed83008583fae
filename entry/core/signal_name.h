#pragma once

#include <string_view>

namespace appsup::entry {

// A signal that an app may be stopped with, by its name on Linux: "SIGTERM".
inline bool IsSignalName(std::string_view name) {
  for (const char* known : {"SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2",
                            "SIGPIPE", "SIGALRM", "SIGTERM", "SIGWINCH", "SIGKILL"}) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace appsup::entry
