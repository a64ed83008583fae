#include "tests/support/wait.h"

#include <chrono>
#include <thread>

namespace appsup::testing {

bool WaitFor(const std::function<bool()>& condition, absl::Duration limit) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(limit);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace appsup::testing
