#pragma once

#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "entry/core/effect.h"

namespace appsup::entry {

// A call that the core has and that is not answered yet. Told on the core thread; must not block.
class PendingCall {
 public:
  virtual ~PendingCall() = default;
  virtual void OnReply(const absl::StatusOr<MessagePtr>& response) = 0;
  virtual void OnStreamMessage(const google::protobuf::Message&) {}
  virtual void OnStreamEnd(const absl::Status&) {}
};

// All calls that the core has, by the id that their effects name. Thread-safe.
class CallTable {
 public:
  CallId Add(std::shared_ptr<PendingCall> call);
  // False if it was answered already: then the core need not hear of it.
  bool Remove(CallId id);

  // Effects of the core. A call that went away meanwhile is passed over.
  void Perform(const Reply& reply);
  void Perform(const StreamMessage& message);
  void Perform(const StreamEnd& end);

  // Ends all: the core that had them is gone.
  void FailAll(const absl::Status& status);

  size_t size() const;

 private:
  std::shared_ptr<PendingCall> Find(CallId id) const;
  std::shared_ptr<PendingCall> Take(CallId id);

  mutable Mutex mutex_;
  CallId last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<CallId, std::shared_ptr<PendingCall>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace appsup::entry
