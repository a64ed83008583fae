#include "entry/core/setup.h"

#include <algorithm>

#include "entry/core/disconnect.h"
#include "entry/core/instance_facts.h"
#include "entry/core/proto_time.h"
#include "fmt/format.h"

namespace appsup::entry {
namespace {

constexpr absl::Duration kDefaultTimeout = absl::Minutes(30);
constexpr absl::Duration kSilence = absl::Minutes(2);

const std::string& TargetKey(const AppView& view) {
  static const std::string none;
  return view.target == nullptr ? none : view.target->revision().setup_key();
}

const rec::InstanceRecord* FindAttempt(const AppView& view, const std::string& uid) {
  for (const auto* records : {&view.setups, &view.gone}) {
    for (const rec::InstanceRecord* record : *records) {
      if (record->instance().uid() == uid) return record;
    }
  }
  return nullptr;
}

// Whether the process is over, whatever it is told now.
bool IsOver(const api::Instance& instance) {
  return instance.state() >= api::INSTANCE_STATE_EXITED;
}

void Settle(rec::SetupRecord& setup, api::SetupState state, std::string message, absl::Time now) {
  setup.set_state(state);
  setup.set_message(std::move(message));
  *setup.mutable_end_time() = ToTimestamp(now);
}

// The process ended, and how is known.
void SettleByExit(const rec::InstanceRecord& attempt, bool retry_safe, absl::Time now,
                  rec::SetupRecord& setup) {
  const api::Instance& instance = attempt.instance();
  // By a timeout, maybe, whatever its code then was.
  const bool failed = instance.state() == api::INSTANCE_STATE_FAILED;
  if (!IsBadExit(instance.exit()) && !failed) {
    return Settle(setup, api::SETUP_STATE_SUCCEEDED, "", now);
  }
  const bool stopped = instance.desired() != api::DESIRED_STATE_RUN;
  if (stopped && retry_safe) {
    return Settle(setup, api::SETUP_STATE_UNSPECIFIED, "It was stopped before it ended.", now);
  }
  std::string message = fmt::format("{} on {} {}", IdOf(instance.name()), instance.node(),
                                    stopped  ? "was stopped before it ended"
                                    : failed ? "failed"
                                             : DescribeExit(instance.exit()));
  if (!instance.message().empty()) message += ": " + instance.message();
  Settle(setup, api::SETUP_STATE_FAILED, std::move(message), now);
}

void SettleByAttempt(const rec::InstanceRecord& attempt, bool retry_safe, bool silent_too_long,
                     absl::Time now, rec::SetupRecord& setup) {
  const api::Instance& instance = attempt.instance();
  const std::string who = IdOf(instance.name()) + " on " + instance.node();
  if (!IsOver(instance)) {
    if (attempt.loss() == rec::LOSS_ENDED) {
      return Settle(setup, api::SETUP_STATE_OUTCOME_UNKNOWN,
                    who +
                        " was ended by its fence when the node was lost: nobody knows how far it "
                        "came.",
                    now);
    }
    if (!silent_too_long) return;
    return Settle(setup, api::SETUP_STATE_OUTCOME_UNKNOWN,
                  who + " does not answer: nobody knows how it ended, or whether it has.", now);
  }
  if (instance.has_exit() && !instance.exit().unknown()) {
    return SettleByExit(attempt, retry_safe, now, setup);
  }
  const bool failed = instance.state() == api::INSTANCE_STATE_FAILED ||
                      instance.state() == api::INSTANCE_STATE_REJECTED;
  if (failed && !instance.has_exit()) {
    return Settle(setup, api::SETUP_STATE_FAILED,
                  fmt::format("{} could not be run: {}", who, instance.message()), now);
  }
  if (instance.attempt() == 0 && !instance.has_exit()) {
    return Settle(setup, api::SETUP_STATE_UNSPECIFIED, "It was stopped before it began.", now);
  }
  Settle(setup, api::SETUP_STATE_OUTCOME_UNKNOWN,
         who + " ended while nobody watched: nobody knows how.", now);
}

}  // namespace

bool IsSetUp(const AppView& view) {
  return TargetKey(view).empty() || TargetSetup(view).state() == api::SETUP_STATE_SUCCEEDED;
}

const rec::SetupRecord& TargetSetup(const AppView& view) {
  auto setup = view.record->setups().find(TargetKey(view));
  return setup == view.record->setups().end() ? rec::SetupRecord::default_instance()
                                              : setup->second;
}

absl::Duration SetupSilence(const AppView& view) {
  absl::Duration timeout = kDefaultTimeout;
  if (view.target_spec().setup().has_timeout()) {
    timeout = std::max(timeout, FromProtoDuration(view.target_spec().setup().timeout()));
  }
  return timeout + kSilence;
}

std::map<std::string, rec::SetupRecord> SettleSetups(const AppView& view,
                                                     const std::set<std::string>& silent_too_long,
                                                     absl::Time now) {
  std::map<std::string, rec::SetupRecord> settled;
  const bool retry_safe = view.target_spec().setup().retry_safe();
  for (const auto& [key, before] : view.record->setups()) {
    const bool unknown = before.state() == api::SETUP_STATE_OUTCOME_UNKNOWN;
    if (!unknown && before.state() != api::SETUP_STATE_RUNNING) continue;
    rec::SetupRecord setup = before;
    const rec::InstanceRecord* attempt = FindAttempt(view, before.instance_uid());
    if (attempt != nullptr) {
      const bool silent = silent_too_long.contains(before.instance_uid());
      SettleByAttempt(*attempt, retry_safe, silent, now, setup);
    } else if (!unknown) {
      Settle(setup, api::SETUP_STATE_OUTCOME_UNKNOWN,
             "The node that ran it was deleted: nobody knows how it ended.", now);
    }
    if (setup.state() != before.state()) settled[key] = std::move(setup);
  }
  return settled;
}

bool MayTrySetup(const AppView& view) {
  if (view.slots.empty() || IsSetUp(view)) return false;
  const bool one_runs =
      std::any_of(view.record->setups().begin(), view.record->setups().end(),
                  [](const auto& row) { return row.second.state() == api::SETUP_STATE_RUNNING; }) ||
      std::any_of(view.setups.begin(), view.setups.end(), [](const rec::InstanceRecord* record) {
        return !IsOver(record->instance()) && !HasLeftItsSlot(*record);
      });
  if (one_runs) return false;
  const api::SetupState state = TargetSetup(view).state();
  return state == api::SETUP_STATE_UNSPECIFIED ||
         (state == api::SETUP_STATE_OUTCOME_UNKNOWN && view.target_spec().setup().retry_safe());
}

std::vector<const rec::InstanceRecord*> SpentSetups(const Catalog& catalog, const AppView& view) {
  const rec::RevisionRecord* failed =
      FindRevision(catalog, view.name(), view.record->failed_revision());
  std::vector<const rec::InstanceRecord*> spent;
  for (const rec::InstanceRecord* record : view.setups) {
    if (IsLeaving(*record) || !IsOver(record->instance())) continue;
    bool needed = false;
    for (const auto& [key, setup] : view.record->setups()) {
      if (setup.instance_uid() != record->instance().uid()) continue;
      const bool shown =
          key == TargetKey(view) || (failed != nullptr && failed->revision().setup_key() == key);
      needed = setup.state() == api::SETUP_STATE_RUNNING ||
               (shown && setup.state() != api::SETUP_STATE_SUCCEEDED);
    }
    if (!needed) spent.push_back(record);
  }
  return spent;
}

std::vector<const rec::InstanceRecord*> EndedSetups(const AppView& view) {
  std::vector<const rec::InstanceRecord*> ended;
  for (const rec::InstanceRecord* record : view.setups) {
    if (record->instance().desired() != api::DESIRED_STATE_RUN) continue;
    for (const auto& [key, setup] : view.record->setups()) {
      if (setup.instance_uid() != record->instance().uid()) continue;
      if (setup.state() != api::SETUP_STATE_RUNNING) ended.push_back(record);
    }
  }
  return ended;
}

std::string DescribeAttempt(const AppView& view, const rec::SetupRecord& setup) {
  const rec::InstanceRecord* attempt = FindAttempt(view, setup.instance_uid());
  return attempt == nullptr
             ? fmt::format("Attempt {} of setup is under way.", setup.attempts())
             : fmt::format("Attempt {} of setup: {}.", setup.attempts(), DescribeTrouble(*attempt));
}

std::string LastLineOf(const AppView& view, const rec::SetupRecord& setup) {
  const rec::InstanceRecord* attempt = FindAttempt(view, setup.instance_uid());
  if (attempt == nullptr || attempt->failure().log_tail().empty()) return "";
  const auto& tail = attempt->failure().log_tail();
  return fmt::format(" Its last line: {}", tail[tail.size() - 1]);
}

}  // namespace appsup::entry
