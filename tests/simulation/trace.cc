#include "tests/simulation/trace.h"

#include "fmt/format.h"

namespace appsup::simulation {

void Trace::Mix(std::string_view text) {
  for (const char c : text) Mix(static_cast<unsigned char>(c));
  Mix(text.size());
}

void Trace::AddLine(absl::Duration at, std::string_view who, std::string_view what,
                    const std::string& content) {
  lines_.push_back(fmt::format("{:>12} {:<7} {:<20} {}", FormatTime(at), who, what, content));
}

std::string FormatTime(absl::Duration at) {
  const int64_t micros = absl::ToInt64Microseconds(at);
  return fmt::format("{}:{:02}.{:06}", micros / 60'000'000, micros / 1'000'000 % 60,
                     micros % 1'000'000);
}

}  // namespace appsup::simulation
