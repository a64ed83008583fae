#include "common/resource_name.h"

#include <cstddef>

#include "common/check.h"
#include "common/status.h"
#include "fmt/format.h"

namespace appsup {
namespace {

constexpr size_t kMaxIdLength = 63;

// Cuts the text before the next '/' off the front of `rest`.
std::string_view TakeSegment(std::string_view* rest) {
  size_t slash = rest->find('/');
  std::string_view segment = rest->substr(0, slash);
  *rest = slash == std::string_view::npos ? std::string_view() : rest->substr(slash + 1);
  return segment;
}

size_t SegmentCount(std::string_view name) {
  size_t count = 1;
  for (char c : name) count += c == '/' ? 1 : 0;
  return count;
}

bool IsLetter(char c) { return c >= 'a' && c <= 'z'; }
bool IsLetterOrDigit(char c) { return IsLetter(c) || (c >= '0' && c <= '9'); }

// What a stranger typed goes into messages only up to a length.
std::string Shown(std::string_view text) {
  constexpr size_t kMaxShown = 128;
  if (text.size() <= kMaxShown) return std::string(text);
  return fmt::format("{}...", text.substr(0, kMaxShown));
}

}  // namespace

bool IsValidId(std::string_view id) {
  if (id.empty() || id.size() > kMaxIdLength || !IsLetter(id.front()) ||
      !IsLetterOrDigit(id.back())) {
    return false;
  }
  for (char c : id) {
    if (!IsLetterOrDigit(c) && c != '-') return false;
  }
  return true;
}

absl::Status CheckId(std::string_view field, std::string_view id) {
  if (IsValidId(id)) return absl::OkStatus();
  std::string rule = fmt::format(
      "\"{}\" is not a valid id: 1 to 63 characters of a-z, 0-9 and '-', beginning with a letter "
      "and not ending with '-'",
      Shown(id));
  return MakeError(
      absl::StatusCode::kInvalidArgument, "INVALID_ID", fmt::format("{}: {}", field, rule),
      {{"field", std::string(field)}, {"id", Shown(id)}}, {{std::string(field), rule}});
}

std::optional<std::vector<std::string>> MatchName(std::string_view pattern, std::string_view name) {
  if (SegmentCount(pattern) != SegmentCount(name)) return std::nullopt;
  std::vector<std::string> ids;
  for (size_t left = SegmentCount(pattern); left > 0; --left) {
    std::string_view expected = TakeSegment(&pattern);
    std::string_view segment = TakeSegment(&name);
    if (expected == "*") {
      if (!IsValidId(segment)) return std::nullopt;
      ids.emplace_back(segment);
    } else if (segment != expected) {
      return std::nullopt;
    }
  }
  return ids;
}

absl::Status ParseName(std::string_view field, std::string_view pattern, std::string_view name,
                       std::vector<std::string>* ids) {
  std::optional<std::vector<std::string>> matched = MatchName(pattern, name);
  if (matched.has_value()) {
    *ids = *std::move(matched);
    return absl::OkStatus();
  }
  std::string rule =
      fmt::format("\"{}\" does not have the form \"{}\", where each '*' is an id of a-z, 0-9, '-'",
                  Shown(name), pattern);
  return MakeError(
      absl::StatusCode::kInvalidArgument, "INVALID_NAME", fmt::format("{}: {}", field, rule),
      {{"field", std::string(field)}, {"name", Shown(name)}}, {{std::string(field), rule}});
}

std::string FormatName(std::string_view pattern, std::initializer_list<std::string_view> ids) {
  std::string name;
  auto id = ids.begin();
  for (char c : pattern) {
    if (c != '*') {
      name += c;
      continue;
    }
    APPSUP_CHECK(id != ids.end(), "a name pattern has more '*' than there are ids");
    name += *id++;
  }
  APPSUP_CHECK(id == ids.end(), "a name pattern has fewer '*' than there are ids");
  return name;
}

}  // namespace appsup
