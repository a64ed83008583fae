#pragma once

#include <cstddef>
#include <string>

#include "common/random.h"
#include "common/secret.h"

namespace appsup {

// RFC 4122 version 4: "0b6e8a52-52e7-4f9b-9d1c-0e9d3f6a7c11".
std::string NewUuid(Random& random);

// `length` (>= 1) lower-case characters that begin with a letter and contain no vowel (no words by
// accident) and neither 0, 1 nor 3. A character carries 4.7 bits. Valid as a resource id.
std::string ShortId(Random& random, size_t length);

// `bytes` bytes from getrandom(2), in url-safe base64 without padding. For tokens and passwords.
Secret NewSecret(size_t bytes);

}  // namespace appsup
