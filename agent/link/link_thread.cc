#include "agent/link/link_thread.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/log.h"
#include "common/rpc/deadline.h"

namespace appsup::agent {
namespace {

namespace v1 = ::appsupervisor::v1;

// What the agent's loop has not handled yet; more is left to the transport's flow control.
constexpr int kMaxHeldMessages = 16;
constexpr absl::Duration kMaxWait = absl::Minutes(1);
constexpr absl::Duration kMaxGoodbyeDelay = absl::Minutes(10);

}  // namespace

LinkThread::LinkThread(LinkOptions options, Clock& clock, Random& random, LinkClient::Sink sink)
    : options_(std::move(options)),
      clock_(clock),
      random_(random),
      sink_(std::move(sink)),
      identity_(options_.identity_dir) {}

void LinkThread::Start() {
  connect_at_ = absl::ZeroDuration();
  thread_ = std::thread([this] { Run(); });
}

void LinkThread::Stop() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->Cancel(absl::CancelledError("the agent ends"));
    Wake();
  }
  thread_.join();
}

void LinkThread::Send(uint64_t connection, const v1::ConnectRequest& message) {
  MutexLock lock(&mutex_);
  if (stream_ != nullptr && connection == connection_) stream_->Write(message);
}

void LinkThread::Close(uint64_t connection, const std::string& reason) {
  MutexLock lock(&mutex_);
  if (stream_ != nullptr && connection == connection_) {
    stream_->Cancel(absl::AbortedError(reason));
    Wake();
  }
}

void LinkThread::Reconnect() {
  MutexLock lock(&mutex_);
  reconnect_now_ = true;
  if (stream_ != nullptr) stream_->Cancel(absl::AbortedError("a new connection is made"));
  Wake();
}

void LinkThread::Wake() {
  if (wake_pending_) return;
  wake_pending_ = true;
  wake_ = std::make_unique<grpc::Alarm>();
  wake_->Set(&queue_, absl::ToChronoTime(absl::UnixEpoch()), &wake_tag_);
}

void LinkThread::OnWake() {
  bool connect = false;
  {
    MutexLock lock(&mutex_);
    wake_pending_ = false;
    connect = stream_ == nullptr && std::exchange(reconnect_now_, false);
  }
  if (connect) connect_at_ = absl::ZeroDuration();
  if (read_wanted_) ReadMore();
}

void LinkThread::Run() {
  bool shut_down = false;
  for (;;) {
    {
      MutexLock lock(&mutex_);
      if (stopping_ && stream_ == nullptr && !wake_pending_ && !shut_down) {
        queue_.Shutdown();
        shut_down = true;
      }
    }
    void* tag = nullptr;
    bool ok = false;
    const absl::Duration wait =
        std::clamp(NextTime() - clock_.Now().boot, absl::ZeroDuration(), kMaxWait);
    switch (queue_.AsyncNext(&tag, &ok, rpc::DeadlineIn(wait + absl::Milliseconds(1)))) {
      case grpc::CompletionQueue::SHUTDOWN:
        return;
      case grpc::CompletionQueue::TIMEOUT:
        OnTime();
        break;
      case grpc::CompletionQueue::GOT_EVENT:
        static_cast<rpc::CompletionTag*>(tag)->Complete(ok);
        break;
    }
  }
}

absl::Duration LinkThread::NextTime() const { return std::min(connect_at_, connected_by_); }

void LinkThread::OnTime() {
  const absl::Duration now = clock_.Now().boot;
  if (now >= connected_by_) {
    connected_by_ = absl::InfiniteDuration();
    MutexLock lock(&mutex_);
    if (stream_ != nullptr) {
      stream_->Cancel(absl::DeadlineExceededError("the entry did not answer in time"));
    }
  } else if (now >= connect_at_) {
    connect_at_ = absl::InfiniteDuration();
    Connect();
  }
}

void LinkThread::Connect() {
  const absl::StatusOr<std::shared_ptr<const IdentityReader::Known>> known = identity_.Read();
  if (!known.ok()) return RetryLater(known.status());
  const NodeName& node = (*known)->node;
  const absl::Duration now = clock_.Now().boot;
  if (final_ && node.serial == serial_ && now < final_until_) {
    connect_at_ = std::min(final_until_, now + options_.identity_check_period);
    return;
  }
  final_ = false;
  serial_ = node.serial;
  std::string entry = options_.entry.empty() ? (*known)->identity.entry : options_.entry;
  if (!go_to_.empty()) entry = std::exchange(go_to_, "");
  connected_by_ = now + options_.connect_timeout;

  LinkStream::Owner owner;
  owner.opened = [this] { Opened(); };
  owner.received = [this](std::shared_ptr<v1::ConnectResponse> message) {
    Received(std::move(message));
  };
  owner.written = [this] {
    uint64_t connection = 0;
    {
      MutexLock lock(&mutex_);
      connection = connection_;
    }
    sink_(LinkWritable{connection});
  };
  owner.ended = [this](const absl::Status& status) { Ended(status); };
  std::shared_ptr<grpc::Channel> channel = ChannelTo(entry, *known);
  MutexLock lock(&mutex_);
  if (stopping_) return;
  ++connection_;
  stream_ = std::make_unique<LinkStream>(std::move(channel), &queue_, std::move(owner));
}

std::shared_ptr<grpc::Channel> LinkThread::ChannelTo(
    const std::string& entry, const std::shared_ptr<const IdentityReader::Known>& known) {
  // IDLE: its connection was open and has ended. READY may be half-open; after TRANSIENT_FAILURE
  // the channel would answer with its last error until its own backoff is over.
  const bool reusable = channel_.channel != nullptr && channel_.entry == entry &&
                        channel_.known == known &&
                        channel_.channel->GetState(false) == GRPC_CHANNEL_IDLE;
  if (!reusable) {
    channel_ = {
        entry, known,
        MakeChannel(entry, known->identity, {options_.keepalive_time, options_.keepalive_timeout})};
  }
  return channel_.channel;
}

void LinkThread::Opened() {
  connected_by_ = absl::InfiniteDuration();
  up_ = true;
  uint64_t connection = 0;
  {
    MutexLock lock(&mutex_);
    connection = connection_;
  }
  Log(LogLevel::kInfo, "link-up", {{"connection", connection}});
  last_failure_.clear();
  sink_(LinkUp{connection});
  ReadMore();
}

void LinkThread::ReadMore() {
  MutexLock lock(&mutex_);
  // A cancelled stream is read on, to find its end.
  read_wanted_ = stream_ != nullptr && held_messages_ >= kMaxHeldMessages && !stream_->cancelled();
  if (stream_ != nullptr && !read_wanted_) stream_->Read();
}

void LinkThread::Received(std::shared_ptr<v1::ConnectResponse> message) {
  attempt_ = 0;
  if (message->has_goodbye()) HeedGoodbye(message->goodbye());
  LinkMessage event;
  {
    MutexLock lock(&mutex_);
    ++held_messages_;
    event.connection = connection_;
  }
  // Counts down when the core lets go of it, wherever and whenever that is.
  const v1::ConnectResponse* content = message.get();
  event.message = std::shared_ptr<const v1::ConnectResponse>(
      content, [message, weak = weak_from_this()](const v1::ConnectResponse*) mutable {
        message.reset();
        if (std::shared_ptr<LinkThread> self = weak.lock(); self != nullptr) self->Released();
      });
  sink_(std::move(event));
  ReadMore();
}

void LinkThread::Released() {
  MutexLock lock(&mutex_);
  if (held_messages_-- == kMaxHeldMessages && !stopping_) Wake();
}

void LinkThread::HeedGoodbye(const v1::Goodbye& goodbye) {
  Log(LogLevel::kInfo, "goodbye", {{"reason", goodbye.reason()}, {"final", goodbye.final()}});
  goodbye_delay_ = std::clamp(absl::Seconds(goodbye.retry_after().seconds()) +
                                  absl::Nanoseconds(goodbye.retry_after().nanos()),
                              absl::ZeroDuration(), kMaxGoodbyeDelay);
  go_to_ = goodbye.go_to();
  final_ = goodbye.final();
  final_until_ = clock_.Now().boot + options_.final_retry_period;
}

void LinkThread::Ended(const absl::Status& status) {
  connected_by_ = absl::InfiniteDuration();
  read_wanted_ = false;
  std::unique_ptr<LinkStream> ended;
  LinkDown event;
  bool now = false;
  {
    MutexLock lock(&mutex_);
    ended = std::move(stream_);
    event.connection = connection_;
    now = std::exchange(reconnect_now_, false);
  }
  event.status = status;
  if (std::exchange(up_, false)) {
    Log(LogLevel::kInfo, "link-down", {{"connection", event.connection}, {"status", status}});
    last_failure_ = status.ToString();
    sink_(std::move(event));
  }
  RetryLater(status);
  if (now) connect_at_ = absl::ZeroDuration();
}

void LinkThread::RetryLater(const absl::Status& why) {
  if (std::string text = why.ToString(); text != last_failure_) {
    Log(LogLevel::kWarning, "link-not-connected", {{"status", why}});
    last_failure_ = std::move(text);
  }
  const absl::Duration delay = Backoff(options_.backoff).NextFullJitter(attempt_++, random_.Next());
  connect_at_ =
      clock_.Now().boot + std::max(delay, std::exchange(goodbye_delay_, absl::ZeroDuration()));
}

}  // namespace appsup::agent
