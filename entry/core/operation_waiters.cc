#include "entry/core/operation_waiters.h"

#include <memory>

#include "common/status.h"

namespace appsup::entry {

void OperationWaiters::Wait(CallId call, const std::string& operation, absl::Duration deadline) {
  Add(call, {.operation = operation, .deadline = deadline});
}

void OperationWaiters::Watch(CallId call, const std::string& operation) {
  Add(call, {.operation = operation, .stream = true});
}

void OperationWaiters::Add(CallId call, Waiter waiter) {
  by_operation_[waiter.operation].insert(call);
  if (waiter.stream) ++streams_;
  if (waiter.deadline != absl::InfiniteDuration()) deadlines_.emplace(waiter.deadline, call);
  waiters_[call] = std::move(waiter);
  due_.insert(call);
}

void OperationWaiters::Forget(CallId call) {
  auto waiter = waiters_.find(call);
  if (waiter == waiters_.end()) return;
  if (waiter->second.stream) --streams_;
  auto calls = by_operation_.find(waiter->second.operation);
  calls->second.erase(call);
  if (calls->second.empty()) by_operation_.erase(calls);
  deadlines_.erase({waiter->second.deadline, call});
  waiters_.erase(waiter);
  due_.erase(call);
}

void OperationWaiters::Writable(CallId call) {
  auto waiter = waiters_.find(call);
  if (waiter == waiters_.end() || !waiter->second.in_flight) return;
  waiter->second.in_flight = false;
  due_.insert(call);
}

void OperationWaiters::Changed(const std::string& operation) {
  auto calls = by_operation_.find(operation);
  if (calls == by_operation_.end()) return;
  for (CallId call : calls->second) {
    waiters_[call].news = true;
    due_.insert(call);
  }
}

absl::Duration OperationWaiters::next_deadline() const {
  return deadlines_.empty() ? absl::InfiniteDuration() : deadlines_.begin()->first;
}

void OperationWaiters::Collect(const Catalog& catalog, const Moment& now,
                               std::vector<Effect>& out) {
  for (const auto& [deadline, call] : deadlines_) {
    if (deadline > now.boot) break;
    due_.insert(call);
  }
  for (CallId call : std::exchange(due_, {})) {
    auto waiter = waiters_.find(call);
    if (waiter != waiters_.end() && Tell(call, waiter->second, catalog, now, out)) Forget(call);
  }
}

bool OperationWaiters::Tell(CallId call, Waiter& waiter, const Catalog& catalog, const Moment& now,
                            std::vector<Effect>& out) {
  // Whatever changes while a message is being written is looked at when it is written.
  if (waiter.in_flight) return false;
  if (waiter.last_sent) {
    out.push_back(StreamEnd{call, absl::OkStatus()});
    return true;
  }
  const rec::OperationRecord* record = catalog.operations.Find(waiter.operation);
  if (record == nullptr) {
    absl::Status gone =
        MakeError(absl::StatusCode::kNotFound, "OPERATION_NOT_FOUND",
                  "Operation " + waiter.operation + " is no longer kept; read its target instead.",
                  {{"operation", waiter.operation}});
    if (waiter.stream) {
      out.push_back(StreamEnd{call, std::move(gone)});
    } else {
      out.push_back(Reply{call, std::move(gone)});
    }
    return true;
  }
  auto view = std::make_shared<api::Operation>(record->operation());
  if (waiter.stream) {
    if (!std::exchange(waiter.news, false)) return false;
    waiter.last_sent = view->done();
    waiter.in_flight = true;
    out.push_back(StreamMessage{call, std::move(view)});
    return false;
  }
  if (!view->done() && now.boot < waiter.deadline) return false;
  out.push_back(Reply{call, MessagePtr(std::move(view))});
  return true;
}

}  // namespace appsup::entry
