#include "entry/cli/manifest_faults.h"

#include <algorithm>
#include <tuple>

#include "common/status.h"
#include "fmt/format.h"

namespace appsup::cli {

std::string Place::Text() const {
  return line <= 0 ? file : fmt::format("{}:{}:{}", file, line, column);
}

void ManifestFaults::Add(Place place, std::string what) {
  const auto known = std::find(files_.begin(), files_.end(), place.file);
  const auto order = static_cast<size_t>(known - files_.begin());
  if (known == files_.end()) files_.push_back(place.file);
  faults_.push_back({order, std::move(place), std::move(what)});
}

absl::Status ManifestFaults::ToStatus() const {
  if (faults_.empty()) return absl::OkStatus();
  std::vector<Fault> sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) {
    return std::tie(a.file_order, a.place.line, a.place.column) <
           std::tie(b.file_order, b.place.line, b.place.column);
  });
  std::string message =
      sorted.size() == 1
          ? "the manifest has a fault; nothing was changed"
          : fmt::format("the manifests have {} faults; nothing was changed", sorted.size());
  std::vector<FieldViolation> violations;
  for (const Fault& fault : sorted) violations.push_back({fault.place.Text(), fault.what});
  return MakeError(absl::StatusCode::kInvalidArgument, "MANIFEST_INVALID", std::move(message), {},
                   std::move(violations));
}

}  // namespace appsup::cli
