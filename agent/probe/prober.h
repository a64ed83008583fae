#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "agent/probe/exec_runner.h"
#include "agent/probe/probe_spec.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/random.h"

namespace appsup::agent {

struct ProbeResult {
  bool ok = false;
  // Empty if ok, else precise: "GET http://127.0.0.1:20001/health: connection refused",
  // "GET http://127.0.0.1:20001/health: status 503, expected 200-399". At most 600 bytes of UTF-8.
  std::string message;
  // Of Threshold, this result counted.
  Threshold::Verdict verdict = Threshold::Verdict::kUndecided;
  bool verdict_changed = false;
};

// Runs the checks of all instances on the agent's loop: no thread and no connection per check
// outlives it, and a check at rest costs a few hundred bytes. Loop thread only; destroyed before
// the loop, outside of its own callbacks.
//
//   StartProbe -> first check within kFirstCheckWithin; until one has succeeded, again after
//   100 ms, doubling up to the period, so that a quick app is seen to be ready quickly; from then
//   on every period (+-10 %) at a random phase. The next check is counted from the end of the last,
//   so an instance never has two.
class Prober {
 public:
  using Callback = std::function<void(const ProbeKey& key, const ProbeResult& result)>;

  static constexpr size_t kMaxProbes = 10'000;
  static constexpr absl::Duration kFirstCheckWithin = absl::Milliseconds(50);
  static constexpr size_t kMaxBodyBytes = 64 << 10;  // Of an answer; the rest is not read.

  // `exec` may be null: exec checks then fail with a message that says so.
  Prober(EventLoop& loop, Clock& clock, Random& random, ExecRunner* exec);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // `callback` gets each result, never from within StartProbe and never after StopProbe; it may
  // call both. A probe with the same key is replaced and begins anew. RESOURCE_EXHAUSTED beyond
  // kMaxProbes.
  absl::Status StartProbe(const ProbeKey& key, ProbeSpec spec, Callback callback);

  // Aborts a check in flight. Nothing if there is none.
  void StopProbe(const ProbeKey& key);

  size_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace appsup::agent
