#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/secret.h"

namespace appsup::cli {

inline constexpr absl::Duration kDefaultTimeout = absl::Minutes(10);

// What main() knows of the process. Empty texts: not set.
struct Surroundings {
  std::string server;      // $APPSUP_SERVER
  std::string token_file;  // $APPSUP_TOKEN_FILE
  std::string ca_file;     // $APPSUP_CA_FILE
  std::string project;     // $APPSUP_PROJECT
  std::string root;        // $APPSUP_ROOT: the entry's root_dir, where it is not /
  std::string home;        // $HOME
  bool no_color = false;   // $NO_COLOR
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  size_t width = 0;  // Of the terminal; 0: not known.
};

enum class OutputForm { kTable, kWide, kJson, kYaml, kName };

// The options that every command has.
struct Settings {
  std::string server;
  std::string token_file;
  std::string ca_file;
  std::string project = "default";
  OutputForm output = OutputForm::kTable;
  std::string color = "auto";  // auto, always, never
  absl::Duration timeout = kDefaultTimeout;
  bool no_wait = false;
  bool quiet = false;
};

// The defaults, replaced by what the surroundings say.
Settings SettingsFrom(const Surroundings& surroundings);

// Whether a call to this address leaves the machine.
bool IsLocalServer(const std::string& server);

// The token for the server: of the file that is named, else the first readable one of
// the entry's admin.token and ~/.config/appsup/token. Empty where none is found, and for unix
// sockets, which ask for none. An error if the named file cannot be read.
absl::StatusOr<Secret> FindToken(const Settings& settings, const Surroundings& surroundings);

}  // namespace appsup::cli
