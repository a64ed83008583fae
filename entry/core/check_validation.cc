// The rules of health checks.
#include <algorithm>
#include <charconv>

#include "entry/core/app_validation.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr size_t kMaxHttpPath = 2048;
constexpr int32_t kMaxThreshold = 1000;

bool ReadNumber(std::string_view text, int* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

void ValidatePortOf(const std::string& field, const std::string& port, const api::AppSpec& spec,
                    Violations& violations) {
  int number = 0;
  if (ReadNumber(port, &number)) {
    if (number < 1 || number > 65535) {
      violations.Add(field, fmt::format("is {}; must be from 1 to 65535", number));
    }
    return;
  }
  std::string names;
  for (const api::Port& known : spec.ports()) {
    if (known.name() == port) return;
    names += (names.empty() ? "" : ", ") + known.name();
  }
  if (port.empty()) {
    violations.Add(field, "is required: the name of a port of the app, or a number");
  } else {
    violations.Add(field,
                   fmt::format("the app has no port {}; {}", Quoted(port),
                               names.empty() ? "it has no ports at all" : "it has " + names));
  }
}

bool IsStatusCode(std::string_view text, int* code) {
  return text.size() == 3 && ReadNumber(text, code) && *code >= 100 && *code <= 599;
}

// "200", "2xx" or "200-399".
bool IsExpectation(std::string_view part) {
  int low = 0;
  int high = 0;
  if (part.size() == 3 && part.substr(1) == "xx") return part[0] >= '1' && part[0] <= '5';
  if (IsStatusCode(part, &low)) return true;
  return part.size() == 7 && part[3] == '-' && IsStatusCode(part.substr(0, 3), &low) &&
         IsStatusCode(part.substr(4), &high) && low <= high;
}

bool AreExpectations(std::string_view text) {
  while (true) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!IsExpectation(part)) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

void ValidateHttp(const std::string& path, const api::HttpCheck& http, const api::AppSpec& spec,
                  Violations& violations) {
  ValidatePortOf(path + ".port", http.port(), spec, violations);
  const bool printable = std::all_of(http.path().begin(), http.path().end(),
                                     [](char c) { return c > ' ' && c < 0x7f; });
  if (!http.path().empty() &&
      (!http.path().starts_with('/') || !printable || http.path().size() > kMaxHttpPath)) {
    violations.Add(path + ".path", Quoted(http.path()) +
                                       " must begin with / and have at most 2,048 printable "
                                       "characters without spaces");
  }
  if (!http.expect().empty() && !AreExpectations(http.expect())) {
    violations.Add(path + ".expect", Quoted(http.expect()) +
                                         " must be status codes such as 200, 2xx or 200-399, "
                                         "joined by commas");
  }
}

}  // namespace

void ValidateCheck(const std::string& path, const api::Check& check, const api::AppSpec& spec,
                   Violations& violations) {
  switch (check.kind_case()) {
    case api::Check::kHttp:
      ValidateHttp(path + ".http", check.http(), spec, violations);
      break;
    case api::Check::kTcp:
      ValidatePortOf(path + ".tcp.port", check.tcp().port(), spec, violations);
      break;
    case api::Check::kExec:
      ValidateCommand(path + ".exec.command", check.exec().command(), violations);
      break;
    case api::Check::KIND_NOT_SET:
      violations.Add(path, "needs one of http, tcp and exec");
      break;
  }
  ValidateDuration(path + ".period", check.has_period(), check.period(), absl::Milliseconds(100),
                   absl::Hours(1), violations);
  ValidateDuration(path + ".timeout", check.has_timeout(), check.timeout(), absl::Milliseconds(10),
                   absl::Hours(1), violations);
  for (auto [name, value] : {std::pair("success_threshold", check.success_threshold()),
                             {"failure_threshold", check.failure_threshold()}}) {
    if (value < 0 || value > kMaxThreshold) {
      violations.Add(
          path + "." + name,
          fmt::format("is {}; must be from 1 to {}, or 0 for the default", value, kMaxThreshold));
    }
  }
}

}  // namespace appsup::entry
