#include "common/secret.h"

#include <openssl/crypto.h>

namespace appsup {

Secret::Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.Wipe(); }

Secret& Secret::operator=(const Secret& other) {
  if (this == &other) return *this;
  Wipe();
  text_ = other.text_;
  return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  text_ = std::move(other.text_);
  other.Wipe();
  return *this;
}

Secret::~Secret() { Wipe(); }

bool Secret::Equals(std::string_view other) const {
  return text_.size() == other.size() &&
         CRYPTO_memcmp(text_.data(), other.data(), text_.size()) == 0;
}

void Secret::Wipe() {
  // The whole capacity: a short text lives inside the object and leaves a copy when it is moved.
  text_.resize(text_.capacity());
  OPENSSL_cleanse(text_.data(), text_.size());
  text_.clear();
}

}  // namespace appsup
