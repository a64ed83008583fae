#include "entry/security/refusals.h"

#include "common/log.h"

namespace appsup::entry {

Refusals::Refusals(Clock& clock, Metrics& metrics) : clock_(clock), metrics_(metrics) {}

bool Refusals::Admit() {
  const absl::Duration now = clock_.Now().boot;
  MutexLock lock(&mutex_);
  if (now - second_begin_ >= absl::Seconds(1)) {
    second_begin_ = now;
    in_second_ = 0;
  }
  return in_second_++ < kPerSecond;
}

void Refusals::Note(const std::string& reason, const std::string& principal,
                    const std::string& method, const std::string& peer) {
  metrics_
      .Counter("appsup_calls_refused_total", "Calls refused for who made them",
               {{"reason", reason}})
      .Increment();
  if (!Admit()) return;
  Log(LogLevel::kWarning, "call-refused",
      {{"reason", reason}, {"principal", principal}, {"method", method}, {"peer", peer}});
}

}  // namespace appsup::entry
