#include "common/mutex.h"

#include <chrono>

namespace appsup {

void CondVar::Wait(Mutex* mutex) {
  std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
  condition_.wait(lock);
  lock.release();
}

bool CondVar::WaitFor(Mutex* mutex, absl::Duration timeout) {
  // Longer waits would overflow the deadline that the standard library computes.
  timeout = std::min(timeout, absl::Hours(24 * 365));
  std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
  std::cv_status status = condition_.wait_for(lock, absl::ToChronoNanoseconds(timeout));
  lock.release();
  return status == std::cv_status::no_timeout;
}

}  // namespace appsup
