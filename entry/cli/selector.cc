#include "entry/cli/selector.h"

#include <cctype>
#include <vector>

#include "entry/cli/exit_code.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

std::string Trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool IsLabelKey(const std::string& key) {
  if (key.empty()) return false;
  for (const char c : key) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 &&
        std::string_view("-_./").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return key.front() != '-';
}

absl::StatusOr<std::string> FilterOfPart(const std::string& part) {
  const absl::Status refused =
      UsageError(fmt::format("-l: \"{}\" is no label selector; allowed: key=value, key!=value, "
                             "key, !key, joined by commas",
                             part));
  const size_t equals = part.find('=');
  if (equals == std::string::npos) {
    const bool absent = !part.empty() && part.front() == '!';
    const std::string key = Trim(absent ? part.substr(1) : part);
    if (!IsLabelKey(key)) return refused;
    return fmt::format("{}labels.{}:*", absent ? "NOT " : "", key);
  }
  const bool differs = equals > 0 && part[equals - 1] == '!';
  const size_t value_at = equals + (part.compare(equals, 2, "==") == 0 ? 2 : 1);
  const std::string key = Trim(part.substr(0, differs ? equals - 1 : equals));
  const std::string value = Trim(part.substr(value_at));
  if (!IsLabelKey(key) || value.find_first_of("=!") != std::string::npos) return refused;
  return fmt::format("{}labels.{} = {}", differs ? "NOT " : "", key, QuotedForFilter(value));
}

}  // namespace

std::string QuotedForFilter(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

absl::StatusOr<std::string> FilterOfSelector(const std::string& selector) {
  std::string filter;
  if (Trim(selector).empty()) return filter;
  for (size_t begin = 0; begin <= selector.size();) {
    const size_t end = std::min(selector.find(',', begin), selector.size());
    absl::StatusOr<std::string> part = FilterOfPart(Trim(selector.substr(begin, end - begin)));
    if (!part.ok()) return part;
    filter += (filter.empty() ? "" : " AND ") + *part;
    begin = end + 1;
  }
  return filter;
}

std::string AndFilters(const std::string& first, const std::string& second) {
  if (first.empty()) return second;
  if (second.empty()) return first;
  return fmt::format("({}) AND ({})", first, second);
}

}  // namespace appsup::cli
