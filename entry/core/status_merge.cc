#include "entry/core/status_merge.h"

#include <algorithm>
#include <string>
#include <utility>

#include "entry/core/instance_facts.h"
#include "entry/core/proto_time.h"
#include "entry/core/serialize.h"
#include "entry/core/statement.h"

namespace appsup::entry {
namespace {

constexpr size_t kMaxMessage = 2000;
constexpr size_t kMaxWord = 63;
constexpr int kMaxEndpoints = 32;
constexpr int kMaxConditions = 16;
constexpr int kMaxLogLines = 20;
constexpr size_t kMaxLogLine = 400 * 4;  // 400 characters.
constexpr size_t kSha256HexSize = 64;
constexpr char kNextTry[] = "; next try at ";  // As agents write it.

// At most `max` bytes, without half a character at the end.
std::string Clip(const std::string& text, size_t max) {
  if (text.size() <= max) return text;
  size_t end = max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

void TakeEndpoints(const api::InstanceStatus& status, api::Instance& instance) {
  instance.clear_endpoints();
  for (const api::Endpoint& from : status.endpoints()) {
    if (instance.endpoints_size() == kMaxEndpoints) return;
    api::Endpoint& to = *instance.add_endpoints();
    to.set_instance(IdOf(instance.name()));
    to.set_port(Clip(from.port(), kMaxWord));
    to.set_address(Clip(from.address(), 4 * kMaxWord));
  }
}

void TakeConditions(const api::InstanceStatus& status, absl::Time now, api::Instance& instance) {
  google::protobuf::RepeatedPtrField<api::Condition> before;
  before.Swap(instance.mutable_conditions());
  for (const api::Condition& from : status.conditions()) {
    if (instance.conditions_size() == kMaxConditions) return;
    api::Condition& to = *instance.add_conditions();
    to.set_type(Clip(from.type(), kMaxWord));
    to.set_status(from.status());
    to.set_reason(Clip(from.reason(), kMaxWord));
    to.set_message(Clip(from.message(), kMaxMessage));
    to.set_observed_generation(status.app_generation());
    *to.mutable_last_transition_time() = ToTimestamp(now);
    for (const api::Condition& old : before) {
      if (old.type() != to.type() || old.status() != to.status()) continue;
      *to.mutable_last_transition_time() = old.last_transition_time();
    }
  }
}

// It came to an end that nobody asked for, or could not begin.
bool IsFailure(const rec::InstanceRecord& before, const api::InstanceStatus& status) {
  if (before.instance().desired() != api::DESIRED_STATE_RUN) return false;
  if (status.has_start_failure_time()) {
    return !SameContent(status.start_failure_time(), before.failure().time());
  }
  if (status.state() == api::INSTANCE_STATE_FAILED) {
    return before.instance().state() != api::INSTANCE_STATE_FAILED;
  }
  const bool new_exit = status.has_exit() && !SameContent(status.exit(), before.instance().exit());
  if (!new_exit || !IsBadExit(status.exit())) return false;
  return status.state() == api::INSTANCE_STATE_EXITED || status.has_next_attempt_time() ||
         status.restarts() > before.instance().restarts();
}

// What its agent says of the failure, if the message is about that. When it is tried again is no
// part of why it failed, and the failure is shown for longer.
std::string ReasonOf(const api::InstanceStatus& status) {
  const bool ended = status.state() == api::INSTANCE_STATE_FAILED ||
                     status.state() == api::INSTANCE_STATE_EXITED || status.has_next_attempt_time();
  if (!ended) return "";
  return Clip(status.message().substr(0, status.message().rfind(kNextTry)), kMaxMessage);
}

void TakeFailure(const api::InstanceStatus& status, absl::Time now, rec::InstanceRecord& record) {
  api::LastFailure& failure = *record.mutable_failure();
  failure.Clear();
  // Exit and last lines are those of a process that ran before.
  const bool started = !status.has_start_failure_time();
  *failure.mutable_time() = !started ? status.start_failure_time()
                            : status.has_exit() && status.exit().has_time() ? status.exit().time()
                                                                            : ToTimestamp(now);
  if (started && status.has_exit()) *failure.mutable_exit() = status.exit();
  std::string reason = ReasonOf(status);
  if (!reason.empty()) {
    reason = ": " + reason;
  } else {
    reason = failure.has_exit() ? " " + DescribeExit(status.exit()) : " could not be started";
  }
  failure.set_reason(IdOf(record.instance().name()) + " on " + record.instance().node() + reason);
  const int lines = started ? std::min(status.log_tail_size(), kMaxLogLines) : 0;
  for (int i = status.log_tail_size() - lines; i < status.log_tail_size(); ++i) {
    failure.add_log_tail(Clip(status.log_tail(i), kMaxLogLine));
  }
}

bool IsSha256(const std::string& text) {
  return text.size() == kSha256HexSize &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

bool IsNews(const rec::InstanceRecord& record, const api::InstanceStatus& status) {
  const api::Instance& instance = record.instance();
  if (status.state() == api::INSTANCE_STATE_REMOVED && IsLeaving(record) &&
      status.generation() == record.generation()) {
    return !IsGone(record);
  }
  return std::pair(status.attempt(), status.sequence()) >
         std::pair(instance.attempt(), instance.sequence());
}

bool MergeStatus(const api::InstanceStatus& status, absl::Time now, rec::InstanceRecord& record) {
  if (IsFailure(record, status)) TakeFailure(status, now, record);
  api::Instance& instance = *record.mutable_instance();
  const std::pair<int64_t, int64_t> order =
      std::max(std::pair(instance.attempt(), instance.sequence()),
               std::pair(status.attempt(), status.sequence()));
  // Everything that the app's view depends on; what is left out is only measured or counted.
  api::Instance before = instance;
  const int64_t generation = record.applied_generation();
  const int64_t nonce = record.applied_restart_nonce();
  const bool ready = status.ready() && status.state() == api::INSTANCE_STATE_RUNNING;
  if (ready && !instance.ready()) *record.mutable_ready_time() = ToTimestamp(now);
  instance.set_state(status.state());
  instance.set_ready(ready);
  instance.set_restarts(status.restarts());
  instance.set_pid(status.pid());
  instance.set_fenced(status.fenced());
  instance.set_message(Clip(status.message(), kMaxMessage));
  instance.set_observed_generation(status.app_generation());
  TakeEndpoints(status, instance);
  TakeConditions(status, now, instance);
  instance.clear_exit();
  instance.clear_next_attempt_time();
  instance.clear_start_time();
  if (status.has_exit()) *instance.mutable_exit() = status.exit();
  if (status.has_next_attempt_time()) {
    *instance.mutable_next_attempt_time() = status.next_attempt_time();
  }
  if (status.has_start_time()) *instance.mutable_start_time() = status.start_time();
  record.set_applied_generation(status.generation());
  record.set_applied_restart_nonce(status.restart_nonce());
  const bool matters = generation != record.applied_generation() ||
                       nonce != record.applied_restart_nonce() || !SameContent(before, instance);
  instance.set_attempt(order.first);
  instance.set_sequence(order.second);
  if (status.has_usage()) *instance.mutable_usage() = status.usage();
  return matters;
}

bool MergeRefusal(const api::AssignmentRefused& refused, absl::Time now,
                  rec::InstanceRecord& record) {
  if (refused.generation() != record.generation()) return false;
  api::Instance& instance = *record.mutable_instance();
  instance.set_message(Clip(refused.message(), kMaxMessage));
  // An agent keeps what it had: something that ran before still does.
  if (instance.attempt() > 0 || IsLeaving(record)) return true;
  record.set_applied_generation(refused.generation());
  instance.set_state(api::INSTANCE_STATE_REJECTED);
  instance.set_ready(false);
  api::LastFailure& failure = *record.mutable_failure();
  failure.Clear();
  *failure.mutable_time() = ToTimestamp(now);
  failure.set_reason(IdOf(instance.name()) + " was rejected by the agent on " + instance.node() +
                     ": " + instance.message());
  return true;
}

void PinArtifact(Catalog& catalog, Dirty& dirty, const rec::InstanceRecord& record,
                 const std::string& sha256) {
  const rec::RevisionRecord* revision = RevisionOf(catalog, record);
  if (revision == nullptr || !revision->revision().spec().has_artifact() || !IsSha256(sha256)) {
    return;
  }
  if (!revision->revision().spec().artifact().sha256().empty()) return;
  const std::string name = revision->revision().name();
  catalog.revisions.Mutate(name).mutable_revision()->mutable_spec()->mutable_artifact()->set_sha256(
      sha256);
  const int64_t number = revision->revision().number();
  for (const std::string& instance : catalog.InstancesOfApp(AppOf(name))) {
    if (catalog.instances.Find(instance)->instance().revision() == number) {
      Restate(catalog, dirty, instance);
    }
  }
}

}  // namespace appsup::entry
