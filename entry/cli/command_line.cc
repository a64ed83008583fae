#include "entry/cli/command_line.h"

#include <algorithm>
#include <cctype>

namespace appsup::cli {
namespace {

bool IsNameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Length of the reference to one of our variables that begins at `at`; 0 if none does.
size_t ReferenceAt(const std::string& text, size_t at) {
  if (text[at] != '$') return 0;
  const bool braced = at + 1 < text.size() && text[at + 1] == '{';
  const size_t begin = at + (braced ? 2 : 1);
  size_t end = begin;
  while (end < text.size() && IsNameCharacter(text[end])) ++end;
  const std::string name = text.substr(begin, end - begin);
  if (name != "PORT" && name.rfind("PORT_", 0) != 0 && name.rfind("APPSUP_", 0) != 0) return 0;
  if (!braced) return end - at;
  return end < text.size() && text[end] == '}' ? end + 1 - at : 0;
}

bool Refers(const std::string& text, const std::string& prefix) {
  for (size_t at = 0; at < text.size(); ++at) {
    const size_t length = ReferenceAt(text, at);
    if (length > 0 && text.substr(at, length).find(prefix) != std::string::npos) return true;
  }
  return false;
}

// In double quotes, where everything but our references is taken as it is.
std::string ForShell(const std::string& argument) {
  std::string quoted = "\"";
  for (size_t at = 0; at < argument.size();) {
    const size_t length = ReferenceAt(argument, at);
    if (length > 0) {
      quoted += argument.substr(at, length);
      at += length;
      continue;
    }
    if (std::string_view("\"\\$`").find(argument[at]) != std::string_view::npos) quoted += '\\';
    quoted += argument[at++];
  }
  return quoted + "\"";
}

std::string ProgramOf(const std::vector<std::string>& arguments) {
  return arguments.empty() ? "" : arguments[0].substr(arguments[0].rfind('/') + 1);
}

bool IsShell(const std::vector<std::string>& arguments) {
  const std::string program = ProgramOf(arguments);
  return program == "sh" || program == "bash" || program == "dash";
}

// `python3 -m http.server [-d DIR] [-b ADDRESS] [-p VERSION]` without the port.
bool IsPortlessHttpServer(const std::vector<std::string>& arguments) {
  if (ProgramOf(arguments).rfind("python", 0) != 0) return false;
  const auto module = std::find(arguments.begin(), arguments.end(), "http.server");
  if (module == arguments.end() || *(module - 1) != "-m") return false;
  for (auto argument = module + 1; argument != arguments.end(); ++argument) {
    if (argument->empty() || argument->front() != '-') return false;
    const bool takes_value = *argument == "-d" || *argument == "--directory" || *argument == "-b" ||
                             *argument == "--bind" || *argument == "-p" ||
                             *argument == "--protocol";
    if (takes_value && argument + 1 != arguments.end()) ++argument;
  }
  return true;
}

}  // namespace

CommandLine CommandLineOf(std::vector<std::string> typed) {
  CommandLine line{std::move(typed), false, ""};
  if (IsPortlessHttpServer(line.arguments)) {
    line.arguments.emplace_back("$PORT");
    line.note = "http.server takes its port as an argument, so $PORT was added to the command";
  }
  const auto refers_to = [&](const std::string& prefix) {
    return std::any_of(line.arguments.begin(), line.arguments.end(),
                       [&](const std::string& argument) { return Refers(argument, prefix); });
  };
  line.uses_port = refers_to("PORT");
  if (IsShell(line.arguments) || !refers_to("")) return line;
  std::string script = "exec";
  for (const std::string& argument : line.arguments) script += " " + ForShell(argument);
  line.arguments = {"/bin/sh", "-c", script};
  return line;
}

}  // namespace appsup::cli
