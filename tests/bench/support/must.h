#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/check.h"

namespace appsup::bench {

// The value, or the end of the program with the error.
template <class T>
T Must(absl::StatusOr<T> value) {
  APPSUP_CHECK(value.ok(), value.status().ToString());
  return *std::move(value);
}

}  // namespace appsup::bench
