#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "entry/cli/exit_code.h"
#include "entry/cli/session.h"

namespace appsup::cli {

// The command line as it is put together: each command adds itself, and what was chosen is run
// after parsing, with a session.
class Commands {
 public:
  using Action = std::function<Outcome(Session&)>;

  explicit Commands(CLI::App& root) : root_(root) {}

  CLI::App& root() { return root_; }

  // A command below `parent`. `example` is shown by --help; each line is one that can be typed.
  CLI::App* Add(CLI::App& parent, const std::string& name, const std::string& description,
                const std::string& example);

  // What the command does if it is the one.
  void OnChosen(CLI::App* command, Action action);

  // A command that needs no more than options of type Options: they live as long as the command.
  template <class Options, class Run>
  std::shared_ptr<Options> Bind(CLI::App* command, Run run) {
    auto options = std::make_shared<Options>();
    OnChosen(command, [options, run](Session& session) { return run(session, *options); });
    return options;
  }

  const Action& chosen() const { return chosen_; }

  // What stood behind "--".
  std::vector<std::string> tail;

 private:
  CLI::App& root_;
  Action chosen_;
};

// One per command or group, each in its own file.
void AddRunCommand(Commands& commands);
void AddApplyCommand(Commands& commands);
void AddGetCommand(Commands& commands);
void AddDescribeCommand(Commands& commands);
void AddLifecycleCommands(Commands& commands);
void AddDeleteCommands(Commands& commands);
void AddPushCommand(Commands& commands);
void AddLogsCommand(Commands& commands);
void AddWatchCommand(Commands& commands);
void AddNodeCommands(Commands& commands);
void AddEnvironmentCommands(Commands& commands);
void AddProjectCommands(Commands& commands);
void AddOperationCommands(Commands& commands);
void AddCompletionCommand(Commands& commands);
void AddVersionCommand(Commands& commands);

// For CLI::Option::check: a whole number within these bounds, told in words.
std::function<std::string(const std::string&)> WholeNumber(int64_t min, int64_t max);

// For --env, --label: "KEY=VALUE". INVALID_ARGUMENT names the option.
absl::StatusOr<std::pair<std::string, std::string>> KeyAndValue(const std::string& option,
                                                                const std::string& text);

}  // namespace appsup::cli
