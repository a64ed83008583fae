#include "entry/link/agent_streams.h"

#include <utility>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "common/tls.h"
#include "entry/core/proto_time.h"
#include "entry/security/node_identity.h"

namespace appsup::entry {
namespace {

namespace v1 = ::appsupervisor::v1;

constexpr size_t kSessionSecretBytes = 32;

}  // namespace

// One stream. Told on its polling thread; Send and Close come from the core thread, Goodbye from
// any.
class AgentStream : public rpc::CallSink {
 public:
  AgentStream(AgentStreams& streams, SessionId session, std::shared_ptr<rpc::ServerCall> call)
      : streams_(streams), session_(session), call_(std::move(call)) {}

  void OnMessage(std::unique_ptr<google::protobuf::Message> message) override {
    std::shared_ptr<const v1::ConnectRequest> request(
        static_cast<const v1::ConnectRequest*>(message.release()));
    streams_.core_.Post(AgentMessage{session_, std::move(request)},
                        [call = call_] { call->Read(); });
  }

  void OnReadsDone() override { call_->Finish(absl::OkStatus()); }

  void OnWritten() override {
    {
      MutexLock lock(&mutex_);
      writing_ = false;
      if (goodbye_ != nullptr) return WriteGoodbye();
    }
    streams_.core_.Post(AgentWritable{session_});
  }

  void OnDone() override {
    streams_.Remove(session_);
    streams_.core_.Post(AgentDisconnected{session_});
  }

  void Send(const v1::ConnectResponse& message) {
    MutexLock lock(&mutex_);
    if (writing_ || goodbye_ != nullptr) return;
    timeline_ = message.timeline();
    epoch_ = message.epoch();
    writing_ = true;
    call_->Write(message);
  }

  void Close(const std::string& reason) { call_->Finish(absl::UnavailableError(reason)); }

  void SayGoodbye(const std::string& reason, absl::Duration retry_after) {
    MutexLock lock(&mutex_);
    if (goodbye_ != nullptr) return;
    goodbye_ = std::make_unique<v1::ConnectResponse>();
    goodbye_->set_timeline(timeline_);
    goodbye_->set_epoch(epoch_);
    goodbye_->mutable_goodbye()->set_reason(reason);
    *goodbye_->mutable_goodbye()->mutable_retry_after() = ToProtoDuration(retry_after);
    if (!writing_) WriteGoodbye();
  }

 private:
  void WriteGoodbye() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    call_->Write(*goodbye_);
    call_->Finish(absl::UnavailableError(goodbye_->goodbye().reason()));
  }

  AgentStreams& streams_;
  const SessionId session_;
  const std::shared_ptr<rpc::ServerCall> call_;
  Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<v1::ConnectResponse> goodbye_ ABSL_GUARDED_BY(mutex_);  // Nothing follows it.
  std::string timeline_ ABSL_GUARDED_BY(mutex_);                          // As in the last message.
  int64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
};

AgentStreams::AgentStreams(CorePort& core, Refusals& refusals, Metrics& metrics)
    : core_(core),
      refusals_(refusals),
      open_(metrics.Gauge("appsup_link_streams", "Open streams of agents")) {}

std::shared_ptr<rpc::CallSink> AgentStreams::Accept(const std::shared_ptr<rpc::ServerCall>& call) {
  absl::StatusOr<NodeIdentity> identity = NodeFromUris(call->peer_uris());
  absl::StatusOr<absl::Time> expiry = absl::UnauthenticatedError("no certificate");
  if (identity.ok()) expiry = GetExpiry(call->peer_certificate_pem());
  if (!identity.ok() || !expiry.ok()) {
    refusals_.Note("NODE_CERTIFICATE_REQUIRED", "", rpc::MethodName(call->method()), call->peer());
    call->Finish(identity.ok() ? expiry.status() : identity.status());
    return nullptr;
  }
  AgentConnected event;
  event.node = identity->node;
  event.node_uid = identity->uid;
  event.peer = call->peer();
  event.secret = NewSecret(kSessionSecretBytes).Reveal();
  event.certificate_expires = *expiry;
  std::shared_ptr<AgentStream> stream;
  {
    MutexLock lock(&mutex_);
    event.session = ++last_session_;
    stream = std::make_shared<AgentStream>(*this, event.session, call);
    streams_.emplace(event.session, stream);
    open_.Set(static_cast<double>(streams_.size()));
  }
  core_.Post(std::move(event), [call] { call->Read(); });
  return stream;
}

std::shared_ptr<AgentStream> AgentStreams::Find(SessionId session) const {
  MutexLock lock(&mutex_);
  auto stream = streams_.find(session);
  return stream == streams_.end() ? nullptr : stream->second;
}

void AgentStreams::Remove(SessionId session) {
  MutexLock lock(&mutex_);
  streams_.erase(session);
  open_.Set(static_cast<double>(streams_.size()));
}

void AgentStreams::Perform(const SendToAgent& send) {
  if (auto stream = Find(send.session); stream != nullptr) stream->Send(*send.message);
}

void AgentStreams::Perform(const CloseAgent& close) {
  if (auto stream = Find(close.session); stream != nullptr) stream->Close(close.reason);
}

void AgentStreams::CloseAll(const std::string& reason, absl::Duration retry_after) {
  std::vector<std::shared_ptr<AgentStream>> streams;
  {
    MutexLock lock(&mutex_);
    for (const auto& [session, stream] : streams_) streams.push_back(stream);
  }
  for (const auto& stream : streams) stream->SayGoodbye(reason, retry_after);
}

size_t AgentStreams::size() const {
  MutexLock lock(&mutex_);
  return streams_.size();
}

}  // namespace appsup::entry
