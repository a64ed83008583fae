#include "agent/log/utf8.h"

namespace appsup::agent {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";

// Bytes of the well-formed character at the front (RFC 3629), 0 if there is none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead == 0) return 0;
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
  const bool too_large = lead == 0xF4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

}  // namespace

std::string ToUtf8(std::string_view bytes, size_t max_characters) {
  std::string result;
  size_t before_last = 0;  // Size of `result` before its last character, for the ellipsis.
  for (size_t characters = 0; !bytes.empty(); ++characters) {
    if (characters == max_characters) {
      result.resize(before_last);
      return result.append(max_characters > 0 ? kEllipsis : "");
    }
    before_last = result.size();
    const size_t length = CharacterLength(bytes);
    result.append(length > 0 ? bytes.substr(0, length) : kReplacement);
    bytes.remove_prefix(length > 0 ? length : 1);
  }
  return result;
}

}  // namespace appsup::agent
