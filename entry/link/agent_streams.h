#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/metrics.h"
#include "common/mutex.h"
#include "common/rpc/server_call.h"
#include "entry/core/core_port.h"
#include "entry/core/effect.h"
#include "entry/security/refusals.h"

namespace appsup::entry {

class AgentStream;

// The agents' open streams, by session. Brings what they say to the core and writes what it says;
// knows nothing of the meaning. Per stream at most one message is under way in each direction: the
// next is read when the core took the one before. Thread-safe.
class AgentStreams {
 public:
  // All outlive this.
  AgentStreams(CorePort& core, Refusals& refusals, Metrics& metrics);

  // Serves LinkService.Connect. A peer without a node's certificate is refused.
  std::shared_ptr<rpc::CallSink> Accept(const std::shared_ptr<rpc::ServerCall>& call);

  // Effects of the core. A stream that ended meanwhile is passed over.
  void Perform(const SendToAgent& send);
  void Perform(const CloseAgent& close);

  // Ends all streams with a Goodbye; the agents come back no earlier than `retry_after`.
  void CloseAll(const std::string& reason, absl::Duration retry_after);

  size_t size() const;

 private:
  friend class AgentStream;
  std::shared_ptr<AgentStream> Find(SessionId session) const;
  void Remove(SessionId session);

  CorePort& core_;
  Refusals& refusals_;
  prometheus::Gauge& open_;
  mutable Mutex mutex_;
  SessionId last_session_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<SessionId, std::shared_ptr<AgentStream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace appsup::entry
