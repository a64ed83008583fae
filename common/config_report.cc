#include "common/config_report.h"

#include <algorithm>
#include <tuple>

#include "common/status.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace appsup {

void ConfigReport::Add(int line, int column, std::string key_path, std::string what) {
  faults_.push_back({line, column, std::move(key_path), std::move(what)});
}

absl::Status ConfigReport::ToStatus() const {
  if (faults_.empty()) return absl::OkStatus();
  std::vector<Fault> sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  std::vector<std::string> lines;
  std::vector<FieldViolation> violations;
  for (const Fault& fault : sorted) {
    std::string place =
        fault.line < 0 ? file_ : fmt::format("{}:{}:{}", file_, fault.line + 1, fault.column + 1);
    lines.push_back(fmt::format("{}: {}", place, fault.what));
    violations.push_back({fault.key_path, lines.back()});
  }
  return MakeError(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID",
                   fmt::format("{}", fmt::join(lines, "\n")), {{"file", file_}},
                   std::move(violations));
}

}  // namespace appsup
