#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace appsup::agent {

// `bytes` as valid UTF-8 (proto3 strings must be): what is none becomes U+FFFD, NUL included. At
// most `max_characters`; a longer text ends in "…", which counts.
std::string ToUtf8(std::string_view bytes, size_t max_characters);

}  // namespace appsup::agent
