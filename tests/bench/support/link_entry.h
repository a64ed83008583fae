#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/mutex.h"
#include "common/random.h"
#include "common/rpc/server.h"
#include "entry/core/catalog.h"
#include "entry/core/core_port.h"
#include "entry/core/dirty.h"
#include "entry/core/options.h"
#include "entry/core/sessions.h"
#include "entry/link/agent_streams.h"
#include "entry/loop_thread.h"
#include "entry/security/refusals.h"

namespace appsup::bench {

// The entry's link alone: the server, the streams, and the core's sessions on a catalog in memory
// with nodes n0, n1, … of one instance each, on a core thread that works as the entry's does. There
// is no API, no reconciler and no store: what each flush would make durable is put together and
// dropped.
class LinkEntry : public entry::CorePort {
 public:
  LinkEntry(std::shared_ptr<grpc::ServerCredentials> credentials, int nodes);
  ~LinkEntry() override;

  std::string address() const { return "127.0.0.1:" + std::to_string(server_->port(0)); }

  // From now on, whoever has applied an assignment gets a changed one.
  void KeepChanging();

  // Sends a command to the agent of a node; returns the seconds until its result was there.
  double Command(int node);

  void Post(entry::Event event, absl::AnyInvocable<void()> handled) override;

 private:
  using Posted = std::pair<entry::Event, absl::AnyInvocable<void()>>;

  void AddNode(int number);
  void HandleWaiting();
  void Handle(const entry::Event& event);
  void Change(const std::string& node);
  void Flush();

  SystemClock clock_;
  SeededRandom random_{7};
  Metrics metrics_;
  entry::Refusals refusals_{clock_, metrics_};
  entry::CoreOptions options_;
  std::unique_ptr<entry::LoopThread> thread_;
  entry::AgentStreams streams_{*this, refusals_, metrics_};

  // Core thread only.
  entry::Catalog catalog_;
  entry::Dirty dirty_;
  std::unique_ptr<entry::Sessions> sessions_;
  std::map<entry::SessionId, std::string> node_of_session_;
  bool changing_ = false;

  Mutex mutex_;
  std::vector<Posted> waiting_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace appsup::bench
