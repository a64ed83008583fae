// From the start of an instance's process to its end, and what follows from the end.
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/instance.h"
#include "agent/core/restart_policy.h"
#include "agent/core/sentence.h"
#include "agent/core/start_request.h"
#include "common/text_units.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;
using appsupervisor::agent::v1::InstanceRecord;

RestartMemory MemoryOf(const InstanceRecord& record, const std::string& boot_id) {
  RestartMemory memory;
  memory.failures = record.restart().failures();
  memory.looping = record.restart().looping();
  if (record.restart().boot_id() != boot_id) return memory;  // Its times mean nothing now.
  for (int64_t micros : record.restart().exit_boot_micros()) {
    memory.exits.push_back(absl::Microseconds(micros));
  }
  return memory;
}

void Keep(const RestartMemory& memory, const std::string& boot_id, InstanceRecord* record) {
  auto* kept = record->mutable_restart();
  kept->Clear();
  kept->set_failures(memory.failures);
  kept->set_looping(memory.looping);
  kept->set_boot_id(boot_id);
  for (absl::Duration exit : memory.exits) {
    kept->add_exit_boot_micros(absl::ToInt64Microseconds(exit));
  }
}

// Between tries that lie far apart the window has forgotten what began the loop.
std::string LoopText(int attempts, bool started, const RestartRules& rules) {
  if (attempts < rules.loop_count) return "the last attempt ";
  return absl::StrCat(attempts, started ? " exits in " : " failed attempts in ",
                      FormatDuration(rules.loop_window), ", the last ");
}

}  // namespace

void Instance::OnStarted(const ProcessStarted& event, Turn& turn) {
  if (phase_ != Phase::kSpawning || event.id != IdOf(record_)) {
    // Nobody wants this attempt any more.
    const bool known = record_.has_open() && event.id == IdOf(record_);
    if (event.result.ok() && !known) turn.effects.push_back(KillProcess{event.id});
    return;
  }
  if (event.result.ok()) {
    Running(*event.result, turn);
    AlignFence(fence_.started.has_value(), turn);
    Reconcile(turn);
    return;
  }
  turn.effects.push_back(AckExit{event.id});
  NotStarted(event.result.status(), turn);
  Reconcile(turn);
}

void Instance::NotStarted(const absl::Status& status, Turn& turn) {
  const std::string problem(status.message());
  const bool too_late = FencePast(status, turn);
  fence_ = {};
  record_.clear_open();
  record_.clear_log_tail();
  turn.persist = true;
  phase_ = Phase::kNew;
  if (too_late) return;  // Nobody's fault: it waits for the next lease.
  if (assignment().setup()) {
    GiveUpSetup(turn, problem);
  } else if (assignment().desired() == api::DESIRED_STATE_RUN) {
    start_failure_ = turn.now.wall;
    Crashed(false, absl::ZeroDuration(), absl::StrCat("could not be started: ", problem), turn);
  }
}

void Instance::Running(const Started& started, Turn& turn) {
  auto* open = record_.mutable_open();
  open->set_boot_id(turn.node.options.boot_id);
  open->set_started(true);
  open->set_pid(started.pid);
  open->set_start_boot_micros(absl::ToInt64Microseconds(started.start_time));
  if (!open->has_start_time()) {
    *open->mutable_start_time() = ToProto(turn.now.wall - (turn.now.boot - started.start_time));
  }
  turn.persist = true;
  for (const auto& [port, number] : record_.ports()) {
    // It is running with them: whoever else claimed one meanwhile has to wait.
    turn.node.claims.ClaimFixed(number, uid(), assignment().name()).IgnoreError();
  }
  const std::string data = DataFolder(turn.node.options, assignment());
  if (!data.empty() && !assignment().setup()) {
    turn.node.claims.ClaimFolder(data, uid(), assignment().name()).IgnoreError();
  }
  if (!assignment().has_spec()) turn.node.claims.HoldApp(assignment().app_uid(), uid());
  if (!assignment().setup()) {
    turn.node.claims.EnterSlot(SlotKey(assignment()), uid(), assignment().name());
  }
  prepared_digest_ = open->spec_digest();
  start_failure_ = absl::InfinitePast();
  Enter(Phase::kRunning, turn);
  if (open->stopping()) {
    Stop(turn);
    return;
  }
  if (assignment().setup()) deadline_ = started.start_time + SetupTimeout(spec());
  ready_ = !HasCheck() || open->ready();
  if (!ready_) message_ = "waits for the first readiness check";
  StartCheckIfAny(turn);
}

void Instance::OnExited(const ProcessExited& event, Turn& turn) {
  turn.effects.push_back(AckExit{event.id});
  if (!record_.has_open() || event.id != IdOf(record_)) return;
  const absl::Duration started = absl::Microseconds(record_.open().start_boot_micros());
  Ended(event.exit, turn.now.boot - started, turn);
  Reconcile(turn);
}

void Instance::Ended(const ProcessExit& exit, absl::Duration uptime, Turn& turn) {
  StopCheckIfAny(turn);
  const bool asked = record_.open().stopping() || phase_ == Phase::kStopping;
  if (!exit.stopped) timed_out_ = false;  // It had ended before the stop came.
  *record_.mutable_last_exit() = ToProto(exit);
  fence_ = {};
  record_.clear_open();
  record_.clear_log_tail();
  turn.persist = turn.report = true;
  usage_.Clear();
  phase_ = Phase::kNew;
  deadline_ = absl::InfiniteDuration();
  const bool success = Succeeded(record_.last_exit());
  if (exit.by_fence && !asked) return EndedByFence(turn);
  if (!success && (!asked || timed_out_)) {
    turn.effects.push_back(ReadLogTail{uid(), record_.attempt()});
    waits_for_log_tail_ = true;
  }
  if (assignment().setup()) {
    SetupEnded(turn);
  } else if (!asked && assignment().desired() == api::DESIRED_STATE_RUN) {
    Crashed(success, uptime, ExitSentence(record_.last_exit()), turn);
  }
}

void Instance::SetupUnknown(const std::string& why, Turn& turn) {
  record_.mutable_last_exit()->set_unknown(true);
  Settle(turn, api::INSTANCE_STATE_FAILED, absl::StrCat("the outcome of setup is unknown: ", why),
         false);
}

void Instance::SetupEnded(Turn& turn) {
  const api::Exit& exit = record_.last_exit();
  if (timed_out_) {
    Settle(turn, api::INSTANCE_STATE_FAILED,
           absl::StrCat("setup timed out after ", FormatDuration(SetupTimeout(spec())),
                        " and was ended"),
           false);
  } else if (Succeeded(exit)) {
    Settle(turn, api::INSTANCE_STATE_EXITED, "setup succeeded", false);
  } else if (exit.unknown()) {
    Settle(turn, api::INSTANCE_STATE_FAILED, "the outcome of setup is unknown", false);
  } else {
    Settle(turn, api::INSTANCE_STATE_FAILED, absl::StrCat("setup ", ExitSentence(exit)), false);
  }
}

void Instance::Crashed(bool success, absl::Duration uptime, const std::string& sentence,
                       Turn& turn) {
  const RestartRules rules = RulesOf(spec().restart());
  RestartMemory memory = MemoryOf(record_, turn.node.options.boot_id);
  const RestartVerdict verdict =
      DecideRestart(rules, success, uptime, turn.now.boot, turn.node.random.Next(), &memory);
  Keep(memory, turn.node.options.boot_id, &record_);
  turn.persist = true;
  if (!verdict.again) {
    Settle(turn, success ? api::INSTANCE_STATE_EXITED : api::INSTANCE_STATE_FAILED, sentence,
           false);
    return;
  }
  unasked_ = true;
  const std::string next = absl::StrCat("next try at ", ClockTime(turn.now.wall + verdict.delay));
  std::string message = absl::StrCat(sentence, "; ", next);
  if (verdict.crash_loop) {
    const bool started = start_failure_ == absl::InfinitePast();
    message = absl::StrCat("crash loop: ", LoopText(verdict.exits_in_window, started, rules),
                           sentence, "; ", next);
  }
  Wait(turn, verdict.delay, std::move(message));
}

void Instance::Lost(const Finding& finding, Turn& turn) {
  const bool rebooted = finding.fate == Fate::kRebooted;
  const bool asked = record_.open().stopping();
  StopCheckIfAny(turn);
  api::Exit exit;
  exit.set_unknown(true);
  *exit.mutable_time() = ToProto(turn.now.wall);
  *record_.mutable_last_exit() = exit;
  fence_ = {};
  record_.clear_open();
  record_.clear_log_tail();
  turn.persist = turn.report = true;
  phase_ = Phase::kNew;
  const std::string why = rebooted ? "ended when the machine was restarted; exit code unknown"
                                   : "ended while nobody watched; exit code unknown";
  if (assignment().setup()) {
    return SetupUnknown(absl::StrCat("it ", why), turn);
  }
  if (asked || assignment().desired() != api::DESIRED_STATE_RUN) return;
  if (rebooted && RulesOf(spec().restart()).policy != api::RESTART_POLICY_NEVER) {
    record_.clear_restart();  // Not its fault: it starts at once.
    unasked_ = true;
    return;
  }
  Crashed(false, absl::ZeroDuration(), why, turn);
}

bool Instance::HasCheck() const {
  return !assignment().setup() &&
         spec().checks().readiness().kind_case() != api::Check::KIND_NOT_SET;
}

void Instance::StartCheckIfAny(Turn& turn) {
  if (!HasCheck()) return;
  StartCheck start;
  start.uid = uid();
  start.attempt = record_.attempt();
  start.check = spec().checks().readiness();
  start.passing = ready_;
  start.address = turn.node.options.check_address;
  for (const auto& [port, number] : record_.ports()) {
    start.ports[port] = static_cast<uint16_t>(number);
  }
  if (start.check.has_exec()) {
    start.like = MakeStartRequest(turn.node.options, turn.node.node, record_);
    start.like.command.clear();
    start.like.fence
        .reset();  // A check ends by its own timeout, long after this fence has moved on.
  }
  turn.effects.push_back(std::move(start));
}

void Instance::StopCheckIfAny(Turn& turn) {
  if (phase_ == Phase::kRunning && HasCheck()) {
    turn.effects.push_back(StopCheck{uid(), record_.attempt()});
  }
}

void Instance::OnReadiness(const ReadinessChanged& event, Turn& turn) {
  if (phase_ != Phase::kRunning || event.attempt != record_.attempt()) return;
  if (ready_ == event.ready && message_ == event.message) return;
  if (ready_ != event.ready) turn.persist = true;
  ready_ = event.ready;
  record_.mutable_open()->set_ready(event.ready);
  message_ = event.ready ? "" : event.message;
  turn.report = true;
}

void Instance::OnLogTail(const LogTailRead& event, Turn& turn) {
  waits_for_log_tail_ = false;
  turn.report = true;
  if (event.attempt != record_.attempt() || record_.has_open()) return;
  record_.clear_log_tail();
  for (const std::string& line : event.lines) record_.add_log_tail(line);
  turn.persist = true;
}

}  // namespace appsup::agent
