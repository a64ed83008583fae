#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/random.h"
#include "common/rpc/server.h"
#include "entry/api/api_service.h"
#include "entry/api/call_table.h"
#include "entry/api/caller.h"
#include "entry/api/local_listener.h"
#include "entry/artifact/blob_store.h"
#include "entry/config.h"
#include "entry/core_thread.h"
#include "entry/gateway/gateway.h"
#include "entry/link/agent_streams.h"
#include "entry/loop_thread.h"
#include "entry/security/ca.h"
#include "entry/security/refusals.h"
#include "entry/security/tokens.h"

namespace appsup::entry {

// A whole entry but for main(): who is made of what, in which order it starts and ends.
//
//   api server ─┐                        ┌─▶ store thread ─▶ store
//   link server ┴─▶ calls, streams ─▶ core thread
//                          └─▶ blob loop ─▶ blobs
class Entry {
 public:
  // Starts everything; the catalog is being read when this returns. `fatal` is called from any
  // thread, at most a few times, when the process should end.
  static absl::StatusOr<std::unique_ptr<Entry>> Start(
      const EntryConfig& config, std::function<void(const absl::Status&)> fatal);
  ~Entry();  // Shuts down.

  // 0 without a listener.
  int api_port() const { return config_.api_listen.empty() ? 0 : api_->port(0); }
  int link_port() const { return link_->port(0); }
  int http_port() const { return gateway_ == nullptr ? 0 : gateway_->port(); }
  const EntryConfig& config() const { return config_; }
  const Ca& ca() const { return *ca_; }
  CoreThread& core() { return *core_; }
  Metrics& metrics() { return metrics_; }

  // Says goodbye to the agents, lets calls end until `grace` is over, and ends all threads. Once.
  void Shutdown(absl::Duration grace);

  // The server certificate, if it is time. Called once a day.
  absl::Status RenewServerCertificate();

 private:
  Entry(EntryConfig config, std::function<void(const absl::Status&)> fatal);

  absl::Status PrepareState();
  absl::Status StartApi();
  absl::Status StartLink();
  absl::Status StartGateway();
  absl::Status StartCore(std::unique_ptr<Store> store);
  std::vector<std::string> ServerNames() const;

  EntryConfig config_;
  const std::function<void(const absl::Status&)> fatal_;
  SystemClock clock_;
  SystemRandom random_;
  Metrics metrics_;
  Refusals refusals_{clock_, metrics_};
  CallTable calls_;
  std::unique_ptr<Ca> ca_;
  std::unique_ptr<Tokens> tokens_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<LoopThread> blob_thread_;
  std::unique_ptr<CoreThread> core_;
  std::unique_ptr<AgentStreams> streams_;
  std::unique_ptr<LocalListener> local_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<Callers> callers_;
  std::unique_ptr<ApiService> api_service_;
  std::unique_ptr<rpc::Server> api_;
  std::unique_ptr<rpc::Server> link_;
  bool shut_down_ = false;
};

// "HOST:PORT" that nodes are told: configured, else the listener's host if it names one, else this
// machine's name, else 127.0.0.1.
std::string AdvertisedAddress(const EntryConfig& config, int port);

// The store that the configuration names.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const EntryConfig& config);

}  // namespace appsup::entry
