#include "entry/cli/program.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "common/build_info.h"
#include "common/status.h"
#include "common/text_units.h"
#include "entry/cli/commands.h"
#include "entry/cli/exit_code.h"
#include "entry/cli/manifest_words.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr char kFooter[] =
    "First steps:\n"
    "  appsup run --name notes -- python3 -m http.server\n"
    "  appsup get apps\n"
    "  appsup describe notes\n"
    "  appsup logs -f notes\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 usage or manifest fault, 3 not found, 4 conflict,\n"
    "  5 not allowed, 6 the entry does not answer, 7 --timeout was over.\n";

const std::map<std::string, OutputForm>& OutputForms() {
  static const std::map<std::string, OutputForm> forms = {{"table", OutputForm::kTable},
                                                          {"wide", OutputForm::kWide},
                                                          {"json", OutputForm::kJson},
                                                          {"yaml", OutputForm::kYaml},
                                                          {"name", OutputForm::kName}};
  return forms;
}

void AddSettings(CLI::App& root, Settings* settings) {
  const char* group = "Options of every command";
  root.add_option(
          "--server", settings->server,
          fmt::format("unix:PATH or HOST:PORT of the entry; APPSUP_SERVER ({})", settings->server))
      ->group(group);
  root.add_option("--token-file", settings->token_file,
                  "file with the token; APPSUP_TOKEN_FILE; else admin.token of the entry or "
                  "~/.config/appsup/token")
      ->group(group);
  root.add_option("--ca-file", settings->ca_file, "speak TLS, trusting this CA; APPSUP_CA_FILE")
      ->group(group);
  root.add_option("-p,--project", settings->project,
                  fmt::format("project of short names; APPSUP_PROJECT ({})", settings->project))
      ->group(group);
  root.add_option_function<std::string>(
          "-o,--output",
          [settings](const std::string& word) {
            const auto found = OutputForms().find(word);
            if (found == OutputForms().end()) {
              throw CLI::ValidationError(
                  "--output",
                  fmt::format("must be table, wide, json, yaml or name, is \"{}\"", word));
            }
            settings->output = found->second;
          },
          "table, wide, json, yaml or name")
      ->group(group);
  root.add_option_function<std::string>(
          "--timeout",
          [settings](const std::string& text) {
            const absl::StatusOr<absl::Duration> timeout = ParseDuration(text);
            if (!timeout.ok()) {
              throw CLI::ValidationError("--timeout", std::string(timeout.status().message()));
            }
            settings->timeout = *timeout;
          },
          "how long to wait for what was asked for (10m)")
      ->group(group);
  root.add_option("--color", settings->color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}).description(""))
      ->group(group);
  root.add_flag("--no-wait", settings->no_wait, "return as soon as the work is accepted")
      ->group(group);
  root.add_flag("-q,--quiet", settings->quiet, "say nothing but results and errors")->group(group);
}

void AddAllCommands(Commands& commands) {
  AddRunCommand(commands);
  AddApplyCommand(commands);
  AddGetCommand(commands);
  AddDescribeCommand(commands);
  AddLogsCommand(commands);
  AddLifecycleCommands(commands);
  AddDeleteCommands(commands);
  AddPushCommand(commands);
  AddWatchCommand(commands);
  AddNodeCommands(commands);
  AddEnvironmentCommands(commands);
  AddProjectCommands(commands);
  AddOperationCommands(commands);
  AddCompletionCommand(commands);
  AddVersionCommand(commands);
}

// Everything before "--"; what follows it goes to `tail` untouched.
std::vector<std::string> WithoutTail(const std::vector<std::string>& arguments,
                                     std::vector<std::string>* tail) {
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  if (dashes != arguments.end()) tail->assign(dashes + 1, arguments.end());
  return {arguments.begin(), dashes};
}

// The command that was meant, as deep as it was recognised.
const CLI::App& DeepestCommand(const CLI::App& root) {
  const CLI::App* command = &root;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

// "appsup nodes" of "appsup nodes token"; empty for the program itself.
std::string PathAbove(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  if (parent == nullptr) return "";
  const std::string above = PathAbove(*parent);
  return above.empty() ? parent->get_name() : above + " " + parent->get_name();
}

// The first word that no command has, where one was expected.
std::string UnknownCommand(const CLI::App& command, const std::vector<std::string>& arguments) {
  std::vector<std::string> known;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(sub->get_name());
  }
  const auto word = std::find_if(arguments.begin(), arguments.end(),
                                 [](const std::string& text) { return text.rfind('-', 0) != 0; });
  if (known.empty() || command.get_parent() != nullptr || word == arguments.end() ||
      std::find(known.begin(), known.end(), *word) != known.end()) {
    return "";
  }
  const std::string nearest = NearestWord(*word, known);
  return fmt::format("there is no command \"{}\"{}", *word,
                     nearest.empty() ? "" : "; did you mean " + nearest + "?");
}

// What CLI11 threw: --help is one of these too.
int ReportParseError(const CLI::App& root, const CLI::ParseError& error,
                     const std::vector<std::string>& arguments, std::ostream& out,
                     std::ostream& err) {
  const CLI::App& command = DeepestCommand(root);
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    out << command.help(PathAbove(command));
    return static_cast<int>(ExitCode::kOk);
  }
  const std::string above = PathAbove(command);
  const std::string unknown = UnknownCommand(command, arguments);
  err << fmt::format("error: {}\n  `{}{}{} --help` shows what is allowed\n",
                     unknown.empty() ? error.what() : unknown, above, above.empty() ? "" : " ",
                     command.get_name());
  return static_cast<int>(ExitCode::kUsage);
}

}  // namespace

CLI::App* Commands::Add(CLI::App& parent, const std::string& name, const std::string& description,
                        const std::string& example) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->fallthrough();
  command->footer("Example:\n" + example);
  return command;
}

void Commands::OnChosen(CLI::App* command, Action action) {
  command->callback([this, command, action] {
    // Of nested commands the innermost is the one; CLI11 calls it first.
    if (command->get_subcommands().empty()) chosen_ = action;
  });
}

std::function<std::string(const std::string&)> WholeNumber(int64_t min, int64_t max) {
  return [min, max](const std::string& text) -> std::string {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= min &&
        number <= max) {
      return "";
    }
    return fmt::format("must be a whole number from {} to {}, is \"{}\"", min, max, text);
  };
}

absl::StatusOr<std::pair<std::string, std::string>> KeyAndValue(const std::string& option,
                                                                const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return UsageError(fmt::format("{} must be KEY=VALUE, is \"{}\"", option, text));
  }
  return std::make_pair(text.substr(0, equals), text.substr(equals + 1));
}

int RunProgram(const std::vector<std::string>& arguments, const Surroundings& surroundings,
               std::istream& in, std::ostream& out, std::ostream& err, Clock& clock,
               Random& random) {
  CLI::App root("Runs applications on many machines: a client of AppSupervisor's API.", "appsup");
  root.require_subcommand(1);
  root.footer(kFooter);
  root.set_version_flag("--version", fmt::format("appsup {}", kVersion));
  Commands commands(root);
  Settings settings = SettingsFrom(surroundings);
  AddSettings(root, &settings);
  AddAllCommands(commands);
  std::vector<std::string> parsed = WithoutTail(arguments, &commands.tail);
  std::reverse(parsed.begin(), parsed.end());  // As CLI11 takes them.
  // The one place where CLI11's exceptions end.
  try {
    root.parse(std::move(parsed));
  } catch (const CLI::CallForVersion& version) {
    out << version.what() << "\n";
    return static_cast<int>(ExitCode::kOk);
  } catch (const CLI::ParseError& error) {
    return ReportParseError(root, error, arguments, out, err);
  }
  if (!commands.tail.empty() && !root.got_subcommand("run")) {
    err << ErrorText(UsageError("only `appsup run` takes a command after --"));
    return static_cast<int>(ExitCode::kUsage);
  }
  Session session(settings, surroundings, in, out, err, clock, random);
  const Outcome outcome = commands.chosen()(session);
  if (outcome.ok()) return static_cast<int>(*outcome);
  err << ErrorText(outcome.status()) << std::flush;
  return static_cast<int>(ExitCodeOf(outcome.status()));
}

}  // namespace appsup::cli
