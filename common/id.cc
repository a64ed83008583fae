#include "common/id.h"

#include <cstdint>
#include <cstdio>
#include <string_view>

#include "absl/strings/escaping.h"
#include "common/check.h"

namespace appsup {
namespace {

constexpr std::string_view kShortIdAlphabet = "bcdfghjklmnpqrstvwxz2456789";
constexpr size_t kShortIdLetters = 20;  // The front part of the alphabet.

}  // namespace

std::string NewUuid(Random& random) {
  uint64_t high = (random.Next() & ~uint64_t{0xf000}) | 0x4000;                 // Version 4.
  uint64_t low = (random.Next() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);  // Variant 10.
  char text[37];
  std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xffff), static_cast<unsigned>(high & 0xffff),
                static_cast<unsigned>(low >> 48),
                static_cast<unsigned long long>(low & 0xffffffffffff));
  return text;
}

std::string ShortId(Random& random, size_t length) {
  APPSUP_CHECK(length >= 1);
  std::string id(1, kShortIdAlphabet[random.Below(kShortIdLetters)]);
  while (id.size() < length) id += kShortIdAlphabet[random.Below(kShortIdAlphabet.size())];
  return id;
}

Secret NewSecret(size_t bytes) {
  SystemRandom random;
  std::string raw;
  while (raw.size() < bytes) {
    uint64_t word = random.Next();
    raw.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  raw.resize(bytes);
  Secret secret(absl::WebSafeBase64Escape(raw));
  Secret wipe(std::move(raw));
  return secret;
}

}  // namespace appsup
