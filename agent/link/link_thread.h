#pragma once

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "agent/link/identity.h"
#include "agent/link/link_client.h"
#include "agent/link/link_stream.h"
#include "common/mutex.h"
#include "grpcpp/alarm.h"

namespace appsup::agent {

// What LinkClient does, on its thread: decides when and where to connect, and passes on what the
// present stream says. Public methods as in LinkClient.
class LinkThread : public std::enable_shared_from_this<LinkThread> {
 public:
  LinkThread(LinkOptions options, Clock& clock, Random& random, LinkClient::Sink sink);

  void Start();
  void Send(uint64_t connection, const appsupervisor::v1::ConnectRequest& message);
  void Close(uint64_t connection, const std::string& reason);
  void Reconnect();
  void Stop();

 private:
  struct WakeTag : public rpc::CompletionTag {
    explicit WakeTag(LinkThread* owner) : owner(owner) {}
    void Complete(bool) override { owner->OnWake(); }
    LinkThread* const owner;
  };

  void Run();
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnWake();
  absl::Duration NextTime() const;
  void OnTime();

  void Connect();
  // The last one if its connection has ended, so that TLS need not be set up anew; else a new one.
  std::shared_ptr<grpc::Channel> ChannelTo(
      const std::string& entry, const std::shared_ptr<const IdentityReader::Known>& known);
  void Opened();
  void Received(std::shared_ptr<appsupervisor::v1::ConnectResponse> message);
  void HeedGoodbye(const appsupervisor::v1::Goodbye& goodbye);
  void Ended(const absl::Status& status);
  void RetryLater(const absl::Status& why);
  void ReadMore();
  void Released();

  const LinkOptions options_;
  Clock& clock_;
  Random& random_;
  const LinkClient::Sink sink_;
  grpc::CompletionQueue queue_;
  WakeTag wake_tag_{this};
  std::thread thread_;

  // Thread of the queue only. Times are boot times.
  IdentityReader identity_;
  struct {
    std::string entry;
    std::shared_ptr<const IdentityReader::Known> known;
    std::shared_ptr<grpc::Channel> channel;
  } channel_;
  uint32_t attempt_ = 0;
  absl::Duration connect_at_ = absl::InfiniteDuration();    // While there is no stream.
  absl::Duration connected_by_ = absl::InfiniteDuration();  // While the stream is not open.
  absl::Duration goodbye_delay_ = absl::ZeroDuration();
  std::string go_to_;   // For the next connection only.
  bool final_ = false;  // Not before the certificate is another than serial_, or final_until_.
  absl::Duration final_until_ = absl::ZeroDuration();
  std::string serial_;
  std::string last_failure_;  // Logged once in a row.
  bool up_ = false;           // LinkUp was told and LinkDown was not.
  bool read_wanted_ = false;  // Put off until the core let go of some messages.

  Mutex mutex_;
  std::unique_ptr<LinkStream> stream_ ABSL_GUARDED_BY(mutex_);  // Replaced by the thread only.
  uint64_t connection_ ABSL_GUARDED_BY(mutex_) = 0;
  int held_messages_ ABSL_GUARDED_BY(mutex_) = 0;  // Given to the sink and not let go of.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool reconnect_now_ ABSL_GUARDED_BY(mutex_) = false;
  bool wake_pending_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<grpc::Alarm> wake_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace appsup::agent
