#include "entry/cli/text_diff.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr size_t kContext = 3;

struct Edit {
  char mark;  // ' ', '-' or '+'.
  std::string line;
};

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// The shortest edit by the longest common subsequence.
std::vector<Edit> Edits(const std::vector<std::string>& before,
                        const std::vector<std::string>& after) {
  const size_t width = after.size() + 1;
  std::vector<uint32_t> common((before.size() + 1) * width, 0);
  for (size_t i = before.size(); i-- > 0;) {
    for (size_t j = after.size(); j-- > 0;) {
      common[i * width + j] =
          before[i] == after[j] ? common[(i + 1) * width + j + 1] + 1
                                : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  std::vector<Edit> edits;
  size_t i = 0;
  size_t j = 0;
  while (i < before.size() || j < after.size()) {
    if (i < before.size() && j < after.size() && before[i] == after[j]) {
      edits.push_back({' ', before[i++]});
      ++j;
    } else if (i < before.size() &&
               (j == after.size() || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      edits.push_back({'-', before[i++]});
    } else {
      edits.push_back({'+', after[j++]});
    }
  }
  return edits;
}

// Where the hunk that begins at `begin` ends: behind the last change that has at most two contexts
// of unchanged lines before it, and one context more.
size_t EndOfHunk(const std::vector<Edit>& edits, size_t begin) {
  size_t last_change = begin;
  for (size_t at = begin; at < edits.size() && at <= last_change + 2 * kContext + 1; ++at) {
    if (edits[at].mark != ' ') last_change = at;
  }
  return std::min(edits.size(), last_change + kContext + 1);
}

std::string Hunk(const std::vector<Edit>& edits, size_t begin, size_t end) {
  size_t before = 0;
  size_t after = 0;
  for (size_t at = 0; at < begin; ++at) {
    before += edits[at].mark != '+';
    after += edits[at].mark != '-';
  }
  const size_t before_begin = before;
  const size_t after_begin = after;
  std::string body;
  for (size_t at = begin; at < end; ++at) {
    before += edits[at].mark != '+';
    after += edits[at].mark != '-';
    body += fmt::format("{}{}\n", edits[at].mark, edits[at].line);
  }
  // An empty range counts from the line before it, as diff(1) has it.
  const size_t before_count = before - before_begin;
  const size_t after_count = after - after_begin;
  return fmt::format("@@ -{},{} +{},{} @@\n{}", before_begin + (before_count > 0), before_count,
                     after_begin + (after_count > 0), after_count, body);
}

}  // namespace

std::string UnifiedDiff(const std::string& before_name, const std::string& before,
                        const std::string& after_name, const std::string& after) {
  if (before == after) return "";
  const std::vector<Edit> edits = Edits(Lines(before), Lines(after));
  std::string diff = fmt::format("--- {}\n+++ {}\n", before_name, after_name);
  for (size_t at = 0; at < edits.size();) {
    if (edits[at].mark == ' ') {
      ++at;
      continue;
    }
    const size_t begin = at > kContext ? at - kContext : 0;
    const size_t end = EndOfHunk(edits, at);
    diff += Hunk(edits, begin, end);
    at = end;
  }
  return diff;
}

}  // namespace appsup::cli
