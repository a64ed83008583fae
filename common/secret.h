#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace appsup {

// A text that must not show up in logs, events, errors or core files. There is no formatter, no
// stream operator and no conversion: whoever needs the text writes Reveal(), which can be searched
// for. Moved-from and destroyed values are overwritten.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  const std::string& Reveal() const { return text_; }
  bool empty() const { return text_.empty(); }

  // Takes the same time wherever the texts differ. The length is not hidden.
  bool Equals(std::string_view other) const;

 private:
  void Wipe();

  std::string text_;
};

std::ostream& operator<<(std::ostream&, const Secret&) = delete;

}  // namespace appsup
