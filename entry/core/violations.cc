#include "entry/core/violations.h"

#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr size_t kShownInMessage = 5;  // All of them are in the details.
constexpr size_t kMaxShown = 128;

}  // namespace

void Violations::Add(const absl::Status& status) {
  for (FieldViolation& violation : GetFieldViolations(status)) {
    found_.push_back(std::move(violation));
  }
}

absl::Status Violations::ToStatus() const {
  if (found_.empty()) return absl::OkStatus();
  std::string message;
  for (size_t at = 0; at < found_.size() && at < kShownInMessage; ++at) {
    message +=
        fmt::format("{}{}: {}", at == 0 ? "" : "; ", found_[at].field, found_[at].description);
  }
  if (found_.size() > kShownInMessage) {
    message += fmt::format("; and {} more", found_.size() - kShownInMessage);
  }
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_ARGUMENT", std::move(message),
                   {{"violations", std::to_string(found_.size())}}, found_);
}

std::string Quoted(const std::string& text) {
  size_t cut = text.size();
  if (cut > kMaxShown) {
    // Not within a character of several bytes.
    cut = kMaxShown;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
  }
  std::string shown;
  for (size_t at = 0; at < cut; ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x20 || byte == 0x7f) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += text[at];
    }
  }
  return "\"" + shown + (cut < text.size() ? "…\"" : "\"");
}

}  // namespace appsup::entry
