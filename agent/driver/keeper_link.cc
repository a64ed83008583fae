#include "agent/driver/keeper_link.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/backoff.h"
#include "common/packet.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

constexpr BackoffOptions kBackoff = {
    .initial = absl::Milliseconds(50), .max = absl::Seconds(1), .multiplier = 2, .jitter = 0};
// Packets in one round of the loop.
constexpr int kMaxBatch = 64;

}  // namespace

KeeperLink::KeeperLink(EventLoop& loop, Clock& clock, std::string socket_path, Events events)
    : loop_(loop),
      clock_(clock),
      socket_path_(std::move(socket_path)),
      events_(std::move(events)) {}

KeeperLink::~KeeperLink() {
  if (socket_.valid()) loop_.Unwatch(socket_.get());
  if (retry_timer_ != 0) loop_.CancelTimer(retry_timer_);
}

// By way of a timer, because events must not come from within a call.
void KeeperLink::Open() {
  retry_timer_ = loop_.AddTimer(clock_.Now().boot, [this] { Connect(); });
}

absl::Status KeeperLink::TryConnect() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket_path_.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("keeper socket ", socket_path_,
                                                   " is longer than ", sizeof(address.sun_path) - 1,
                                                   " bytes"));
  }
  memcpy(address.sun_path, socket_path_.c_str(), socket_path_.size());
  UniqueFd fresh(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fresh.valid()) return ErrnoError(errno, "make a socket");
  if (connect(fresh.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(errno, absl::StrCat("connect to the keeper at ", socket_path_));
  }
  RETURN_IF_ERROR(loop_.Watch(fresh.get(), EPOLLIN, [this](uint32_t events) { OnReady(events); }));
  watched_for_ = EPOLLIN;
  socket_ = std::move(fresh);
  return absl::OkStatus();
}

void KeeperLink::Connect() {
  retry_timer_ = 0;
  absl::Status status = TryConnect();
  ++generation_;
  if (status.ok()) {
    ever_told_ = true;
    return events_.on_open();
  }
  RetryLater();
  if (!std::exchange(ever_told_, true)) events_.on_closed(status);
}

void KeeperLink::RetryLater() {
  absl::Duration delay = Backoff(kBackoff).Ceiling(failures_++);
  retry_timer_ = loop_.AddTimer(clock_.Now().boot + delay, [this] { Connect(); });
}

void KeeperLink::Close(const absl::Status& why) {
  loop_.Unwatch(socket_.get());
  socket_.Reset();
  outgoing_.clear();
  ++generation_;
  RetryLater();
  events_.on_closed(why);
}

void KeeperLink::Reset(const absl::Status& why) {
  uint64_t meant = generation_;
  loop_.Post([this, meant, why] {
    if (meant == generation_ && socket_.valid()) Close(why);
  });
}

void KeeperLink::Send(std::string body) {
  if (!socket_.valid()) return;
  outgoing_.push_back(std::move(body));
  // A failure is noticed, and told, by OnReady.
  if (outgoing_.size() == 1) Flush();
  Watch();
}

void KeeperLink::Flush() {
  while (!outgoing_.empty()) {
    auto sent = SendPacket(socket_.get(), outgoing_.front());
    if (!sent.ok()) return Reset(sent.status());
    if (!*sent) return;
    outgoing_.pop_front();
  }
}

void KeeperLink::Watch() {
  if (!socket_.valid()) return;
  uint32_t events = EPOLLIN | (outgoing_.empty() ? 0U : uint32_t{EPOLLOUT});
  if (events == watched_for_) return;
  watched_for_ = events;
  absl::Status modified = loop_.Modify(socket_.get(), events);
  if (!modified.ok()) Reset(modified);
}

void KeeperLink::OnReady(uint32_t events) {
  if ((events & EPOLLOUT) != 0) Flush();
  uint64_t mine = generation_;
  Receive();
  if (mine == generation_) Watch();
}

void KeeperLink::Receive() {
  uint64_t mine = generation_;
  for (int i = 0; i < kMaxBatch && mine == generation_; ++i) {
    auto packet = ReceivePacket(socket_.get());
    if (!packet.ok()) return Close(packet.status());
    if (!packet->has_value()) return;
    keeper_pb::Response response;
    if (!response.ParseFromString(**packet)) {
      return Close(absl::InvalidArgumentError("an answer of the keeper cannot be parsed"));
    }
    events_.on_response(std::move(response));
  }
}

}  // namespace appsup::agent
