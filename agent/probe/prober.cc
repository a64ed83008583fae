#include "agent/probe/prober.h"

#include <map>
#include <utility>

#include "agent/probe/http_probe.h"
#include "agent/probe/probe_pace.h"
#include "agent/probe/tcp_probe.h"
#include "common/status.h"
#include "common/text_units.h"

namespace appsup::agent {
namespace {

constexpr size_t kMaxMessageBytes = 600;

// Cuts between characters, not within one.
std::string Shorten(std::string text) {
  if (text.size() <= kMaxMessageBytes) return text;
  size_t end = kMaxMessageBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string ExecFailure(const ProbeSpec& spec, const ExecResult& result) {
  std::string why;
  if (!result.status.ok()) {
    why = std::string(result.status.message());
  } else if (result.timed_out) {
    why = "did not end within " + FormatDuration(spec.timeout);
  } else if (result.signal != 0) {
    why = "ended by signal " + std::to_string(result.signal);
  } else if (result.exit_code != 0) {
    why = "ended with code " + std::to_string(result.exit_code);
  } else {
    return "";
  }
  if (!result.last_line.empty()) why += ": " + result.last_line;
  return "exec " + spec.command.front() + ": " + why;
}

struct Probe {
  Probe(ProbeSpec spec_in, Prober::Callback callback_in)
      : spec(std::move(spec_in)),
        callback(std::move(callback_in)),
        threshold(spec.threshold),
        pace(spec.period) {}

  ProbeSpec spec;
  Prober::Callback callback;
  Threshold threshold;
  ProbePace pace;
  uint64_t generation = 0;       // Tells a replaced probe's answers from its own.
  EventLoop::TimerId timer = 0;  // Until the next check; 0 while one runs.
  uint64_t check = 0;            // Id of the check that runs, for http and tcp.
  bool running = false;
};

}  // namespace

struct Prober::State {
  State(EventLoop& loop_in, Clock& clock_in, Random& random_in, ExecRunner* exec_in)
      : loop(loop_in),
        clock(clock_in),
        random(random_in),
        exec(exec_in),
        http(loop_in, clock_in, kMaxBodyBytes),
        tcp(loop_in, clock_in) {}

  void Schedule(const ProbeKey& key, Probe& probe, absl::Duration delay) {
    probe.timer = loop.AddTimer(clock.Now().boot + delay, [this, key] { Check(key); });
  }

  void Check(const ProbeKey& key) {
    Probe& probe = probes.at(key);
    probe.timer = 0;
    probe.running = true;
    auto done = [this, key, generation = probe.generation](std::string failure) {
      Finish(key, generation, std::move(failure));
    };
    switch (probe.spec.kind) {
      case ProbeKind::kHttp:
        probe.check = http.Start(probe.spec, std::move(done));
        return;
      case ProbeKind::kTcp:
        probe.check = tcp.Start(probe.spec, std::move(done));
        return;
      case ProbeKind::kExec:
        CheckByExec(key, probe, std::move(done));
        return;
    }
  }

  void CheckByExec(const ProbeKey& key, Probe& probe, std::function<void(std::string)> done) {
    if (exec == nullptr) {
      done("exec " + probe.spec.command.front() + ": this host cannot run commands for checks");
      return;
    }
    exec->RunCheck(key, probe.spec.command, probe.spec.timeout,
                   [spec = probe.spec, done = std::move(done)](const ExecResult& result) {
                     done(ExecFailure(spec, result));
                   });
  }

  void Finish(const ProbeKey& key, uint64_t generation, std::string failure) {
    const auto found = probes.find(key);
    if (found == probes.end() || found->second.generation != generation) return;
    Probe& probe = found->second;
    probe.running = false;
    ProbeResult result;
    result.ok = failure.empty();
    result.message = Shorten(std::move(failure));
    result.verdict_changed = probe.threshold.Add(result.ok);
    result.verdict = probe.threshold.verdict();
    Schedule(key, probe, probe.pace.Next(result.ok, random));
    // Copies, because the callback may stop or replace the probe.
    const Callback callback = probe.callback;
    const ProbeKey own_key = key;
    callback(own_key, result);
  }

  void Abort(const ProbeKey& key, Probe& probe) {
    loop.CancelTimer(probe.timer);
    if (!probe.running) return;
    switch (probe.spec.kind) {
      case ProbeKind::kHttp:
        http.Cancel(probe.check);
        return;
      case ProbeKind::kTcp:
        tcp.Cancel(probe.check);
        return;
      case ProbeKind::kExec:
        if (exec != nullptr) exec->CancelCheck(key);
        return;
    }
  }

  EventLoop& loop;
  Clock& clock;
  Random& random;
  ExecRunner* const exec;
  HttpProbe http;
  TcpProbe tcp;
  uint64_t next_generation = 1;
  std::map<ProbeKey, Probe> probes;
};

Prober::Prober(EventLoop& loop, Clock& clock, Random& random, ExecRunner* exec)
    : state_(std::make_unique<State>(loop, clock, random, exec)) {}

Prober::~Prober() {
  for (auto& [key, probe] : state_->probes) state_->Abort(key, probe);
}

absl::Status Prober::StartProbe(const ProbeKey& key, ProbeSpec spec, Callback callback) {
  StopProbe(key);
  if (state_->probes.size() >= kMaxProbes) {
    return MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_CHECKS",
                     "this node runs " + std::to_string(kMaxProbes) + " checks, the most it may");
  }
  Probe& probe =
      state_->probes.emplace(key, Probe(std::move(spec), std::move(callback))).first->second;
  probe.generation = state_->next_generation++;
  state_->Schedule(key, probe, ProbePace::First(kFirstCheckWithin, state_->random));
  return absl::OkStatus();
}

void Prober::StopProbe(const ProbeKey& key) {
  const auto found = state_->probes.find(key);
  if (found == state_->probes.end()) return;
  state_->Abort(key, found->second);
  state_->probes.erase(found);
}

size_t Prober::size() const { return state_->probes.size(); }

}  // namespace appsup::agent
