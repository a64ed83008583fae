#include "agent/probe/status_expectation.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "common/status.h"

namespace appsup::agent {
namespace {

constexpr int kLowest = 100;
constexpr int kHighest = 599;

// Three digits in the range of HTTP.
std::optional<int> ParseCode(std::string_view text) {
  int code = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, code);
  if (error != std::errc() || stop != end || text.size() != 3) return std::nullopt;
  if (code < kLowest || code > kHighest) return std::nullopt;
  return code;
}

std::optional<std::pair<int, int>> ParsePiece(std::string_view piece) {
  if (piece.size() == 3 && piece[0] >= '1' && piece[0] <= '5' &&
      (piece.substr(1) == "xx" || piece.substr(1) == "XX")) {
    const int hundred = (piece[0] - '0') * 100;
    return std::pair(hundred, hundred + 99);
  }
  const size_t dash = piece.find('-');
  const std::optional<int> first = ParseCode(piece.substr(0, dash));
  const std::optional<int> last =
      dash == std::string_view::npos ? first : ParseCode(piece.substr(dash + 1));
  if (!first || !last || *first > *last) return std::nullopt;
  return std::pair(*first, *last);
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

StatusExpectation::StatusExpectation() : text_("200-399"), ranges_{{200, 399}} {}

absl::StatusOr<StatusExpectation> StatusExpectation::Parse(std::string_view text) {
  StatusExpectation expectation;
  if (Trim(text).empty()) return expectation;
  expectation.text_ = std::string(text);
  expectation.ranges_.clear();
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    const std::string_view piece = Trim(rest.substr(0, comma));
    const auto range = ParsePiece(piece);
    if (!range) {
      return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_EXPECT",
                       "expect: \"" + std::string(piece) +
                           "\" is no HTTP status; allowed are \"200\", \"2xx\", \"200-399\" and "
                           "several of them joined by commas",
                       {{"expect", std::string(text)}});
    }
    expectation.ranges_.push_back(*range);
    if (comma == std::string_view::npos) return expectation;
    rest.remove_prefix(comma + 1);
  }
}

bool StatusExpectation::Matches(int code) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [code](const std::pair<int, int>& range) {
    return range.first <= code && code <= range.second;
  });
}

}  // namespace appsup::agent
