#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "agent/probe/probe_spec.h"
#include "common/clock.h"
#include "common/event_loop.h"

namespace appsup::agent {

// GET requests by libcurl on the loop; each on a connection of its own, no redirects, no proxy, no
// name lookups. Loop thread only.
class HttpProbe {
 public:
  using Done = absl::AnyInvocable<void(std::string failure)>;  // Empty: it passed.

  static constexpr size_t kMaxIdleHandles = 8;

  HttpProbe(EventLoop& loop, Clock& clock, size_t max_body_bytes);
  ~HttpProbe();
  HttpProbe(const HttpProbe&) = delete;
  HttpProbe& operator=(const HttpProbe&) = delete;

  // Never calls `done` from within. The id is never 0.
  uint64_t Start(const ProbeSpec& spec, Done done);
  void Cancel(uint64_t id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace appsup::agent
