#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace appsup::agent {

// HTTP status codes that pass a check: "200", "2xx", "200-399", several joined by commas. Pure.
class StatusExpectation {
 public:
  // "200-399".
  StatusExpectation();

  // INVALID_ARGUMENT with the piece that is wrong and the forms that are allowed. Codes lie in
  // 100 to 599. Empty text is the default.
  static absl::StatusOr<StatusExpectation> Parse(std::string_view text);

  bool Matches(int code) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::pair<int, int>> ranges_;  // Both ends belong to it.
};

}  // namespace appsup::agent
