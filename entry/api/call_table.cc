#include "entry/api/call_table.h"

#include <utility>

namespace appsup::entry {

CallId CallTable::Add(std::shared_ptr<PendingCall> call) {
  MutexLock lock(&mutex_);
  calls_.emplace(++last_id_, std::move(call));
  return last_id_;
}

bool CallTable::Remove(CallId id) { return Take(id) != nullptr; }

std::shared_ptr<PendingCall> CallTable::Find(CallId id) const {
  MutexLock lock(&mutex_);
  auto call = calls_.find(id);
  return call == calls_.end() ? nullptr : call->second;
}

std::shared_ptr<PendingCall> CallTable::Take(CallId id) {
  MutexLock lock(&mutex_);
  auto call = calls_.find(id);
  if (call == calls_.end()) return nullptr;
  std::shared_ptr<PendingCall> taken = std::move(call->second);
  calls_.erase(call);
  return taken;
}

void CallTable::Perform(const Reply& reply) {
  if (auto call = Take(reply.call); call != nullptr) call->OnReply(reply.response);
}

void CallTable::Perform(const StreamMessage& message) {
  if (auto call = Find(message.call); call != nullptr) call->OnStreamMessage(*message.message);
}

void CallTable::Perform(const StreamEnd& end) {
  if (auto call = Take(end.call); call != nullptr) call->OnStreamEnd(end.status);
}

void CallTable::FailAll(const absl::Status& status) {
  std::map<CallId, std::shared_ptr<PendingCall>> calls;
  {
    MutexLock lock(&mutex_);
    calls.swap(calls_);
  }
  for (auto& [id, call] : calls) call->OnReply(status);
}

size_t CallTable::size() const {
  MutexLock lock(&mutex_);
  return calls_.size();
}

}  // namespace appsup::entry
