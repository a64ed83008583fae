#include "tests/bench/support/report.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "fmt/format.h"

namespace appsup::bench {
namespace {

std::string List(const std::vector<double>& values) {
  std::string text;
  for (double value : values) text += fmt::format("{}{:.9g}", text.empty() ? "" : ", ", value);
  return "[" + text + "]";
}

}  // namespace

void Print(const Comparison& comparison) {
  fmt::print("{{\"name\": \"{}\", \"unit\": \"{}\", \"ours\": {}, \"bare\": {}}}\n",
             comparison.name, comparison.unit, List(comparison.ours), List(comparison.bare));
  std::fflush(stdout);
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace appsup::bench
