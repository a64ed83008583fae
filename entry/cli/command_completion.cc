// appsup completion, version.
#include "common/build_info.h"
#include "entry/cli/commands.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace appsup::cli {
namespace {

struct NoOptions {};

std::vector<std::string> SubcommandsOf(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

std::vector<std::string> OptionsOf(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// `path)  words="…";;` for the command and those below it.
std::string CasesOf(const CLI::App& command, const std::string& path) {
  std::vector<std::string> words = SubcommandsOf(command);
  for (const std::string& option : OptionsOf(command)) words.push_back(option);
  std::string cases = fmt::format("    \"{}\") words=\"{}\" ;;\n", path, fmt::join(words, " "));
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    cases += CasesOf(*sub, (path.empty() ? "" : path + " ") + sub->get_name());
  }
  return cases;
}

void Fill(const std::string& mark, const std::string& text, std::string* script) {
  script->replace(script->find(mark), mark.size(), text);
}

constexpr char kScript[] = R"BASH(# bash completion of appsup
_appsup() {
  local current="${COMP_WORDS[COMP_CWORD]}" path="" words="" names="" word
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      -*) ;;
      *) path="${path:+$path }$word" ;;
    esac
  done
  while :; do
    _appsup_words "$path" && break
    [ -z "$path" ] && break
    case "$path" in *" "*) path="${path% *}" ;; *) path="" ;; esac
  done
  [ -n "$path" ] && words="$words @GLOBAL@"
  case "$path" in
    describe|start|stop|restart|scale|rollback|delete|logs)
      names="$(appsup get apps -o name 2>/dev/null | sed 's|.*/||')" ;;
    get) names="apps instances nodes environments projects operations revisions blobs" ;;
    drain|resume|"nodes label"|"nodes cordon"|"nodes uncordon"|"nodes revoke"|"nodes delete")
      names="$(appsup get nodes -o name 2>/dev/null | sed 's|.*/||')" ;;
    "nodes token"|"environments delete")
      names="$(appsup get environments -o name 2>/dev/null | sed 's|.*/||')" ;;
    apply|push) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  COMPREPLY=($(compgen -W "$words $names" -- "$current"))
}
_appsup_words() {
  case "$1" in
@CASES@    *) return 1 ;;
  esac
}
complete -o filenames -F _appsup appsup
)BASH";

}  // namespace

void AddCompletionCommand(Commands& commands) {
  CLI::App* command =
      commands.Add(commands.root(), "completion", "Prints the completion script for bash",
                   "  source <(appsup completion)");
  CLI::App* root = &commands.root();
  commands.Bind<NoOptions>(command, [root](Session& session, const NoOptions&) -> Outcome {
    std::string script = kScript;
    Fill("@CASES@", CasesOf(*root, ""), &script);
    Fill("@GLOBAL@", fmt::format("{}", fmt::join(OptionsOf(*root), " ")), &script);
    session.out << script << std::flush;
    return ExitCode::kOk;
  });
}

void AddVersionCommand(Commands& commands) {
  CLI::App* command = commands.Add(commands.root(), "version", "Prints the version of this program",
                                   "  appsup version");
  commands.Bind<NoOptions>(command, [](Session& session, const NoOptions&) -> Outcome {
    session.out << "appsup " << kVersion << "\n" << std::flush;
    return ExitCode::kOk;
  });
}

}  // namespace appsup::cli
