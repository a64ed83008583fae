#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/link/enroll.h"
#include "agent/link/identity.h"
#include "agent/link/link_client.h"
#include "appsupervisor/v1/environment_service.grpc.pb.h"
#include "appsupervisor/v1/link.grpc.pb.h"
#include "appsupervisor/v1/node_service.grpc.pb.h"
#include "common/mutex.h"
#include "entry/entry.h"
#include "grpcpp/grpcpp.h"
#include "tests/support/temp_dir.h"

namespace appsup::testing {

// A real entry within this process, on ports of its own, with its state in a folder that goes with
// it. Stop and Start again keep folder and ports.
class EntryFixture {
 public:
  // `change` may change the configuration before the first start.
  explicit EntryFixture(const std::function<void(entry::EntryConfig&)>& change = nullptr);
  ~EntryFixture();

  void Start();
  void Stop();

  // Over the unix socket, as root is: no token.
  std::shared_ptr<grpc::Channel> Local();
  // Over TCP.
  std::shared_ptr<grpc::Channel> Tcp();
  std::string AdminToken() const;
  std::string link_address() const { return "127.0.0.1:" + std::to_string(link_port_); }
  std::string Path(const std::string& name) const { return dir_.File(name); }
  entry::Entry& running() { return *entry_; }

  // A token for the environment `eu`, which is made when it is needed first.
  std::string JoinToken();
  // Makes a node and keeps its identity in a folder, which is returned.
  std::string EnrollNode(const std::string& node_id, const std::string& machine_id);
  appsupervisor::v1::Node GetNode(const std::string& id);

 private:
  TempDir dir_;
  entry::EntryConfig config_;
  int link_port_ = 0;
  std::unique_ptr<entry::Entry> entry_;
};

// An agent that is nothing but its end of the link. Events are kept for the test to look at.
class LinkProbe {
 public:
  LinkProbe(const std::string& entry, const std::string& identity_dir,
            const std::string& machine_id);
  ~LinkProbe();

  agent::LinkClient& client() { return *client_; }
  int ups();
  int downs();
  // The newest message of each kind is kept; copies.
  bool HasWelcome();
  appsupervisor::v1::Welcome welcome();
  appsupervisor::v1::Goodbye goodbye();
  std::string last_down();

  // Sends as soon as the stream takes a message.
  void Send(appsupervisor::v1::ConnectRequest message);
  // Whether a LeaseGranted for this number came.
  bool Granted(int64_t number);

 private:
  void OnEvent(const agent::LinkEvent& event);
  void SendNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string machine_id_;
  SystemClock clock_;
  SystemRandom random_;
  Mutex mutex_;
  uint64_t connection_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writable_ ABSL_GUARDED_BY(mutex_) = false;
  int ups_ ABSL_GUARDED_BY(mutex_) = 0;
  int downs_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string last_down_ ABSL_GUARDED_BY(mutex_);
  int64_t granted_ ABSL_GUARDED_BY(mutex_) = 0;
  appsupervisor::v1::Welcome welcome_ ABSL_GUARDED_BY(mutex_);
  appsupervisor::v1::Goodbye goodbye_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<const appsupervisor::v1::ConnectRequest>> waiting_
      ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<agent::LinkClient> client_;
};

}  // namespace appsup::testing
