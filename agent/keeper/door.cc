#include "agent/keeper/door.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/report.h"
#include "agent/keeper/small_file.h"
#include "common/packet.h"

namespace appsup::keeper {
namespace {

// Answers that wait before requests are left unread.
constexpr size_t kMaxOutgoing = 256;
// Requests in one round of the loop.
constexpr int kMaxBatch = 64;

}  // namespace

Door::Door(const Policy& policy, Poller& poller, Events events)
    : policy_(policy), poller_(poller), events_(std::move(events)) {}

Door::~Door() {
  if (listener_.valid()) unlink(policy_.socket.c_str());
}

absl::Status Door::MakeSocketFolder() {
  std::string folder = policy_.socket.substr(0, policy_.socket.rfind('/'));
  if (absl::Status s = MakeFolder(folder, 0700); !s.ok()) return s;
  if ((geteuid() == 0 && chown(folder.c_str(), policy_.agent.uid, policy_.agent.gid) != 0) ||
      chmod(folder.c_str(), 0700) != 0) {
    return SystemError(errno, absl::StrCat("give folder ", folder, " to the agent"));
  }
  return absl::OkStatus();
}

absl::Status Door::Open() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (policy_.socket.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket path ", policy_.socket,
                                                   " is longer than ", sizeof(address.sun_path) - 1,
                                                   " bytes"));
  }
  memcpy(address.sun_path, policy_.socket.c_str(), policy_.socket.size());
  if (absl::Status s = MakeSocketFolder(); !s.ok()) return s;
  listener_ = UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_.valid()) return SystemError(errno, "make a socket");
  unlink(policy_.socket.c_str());
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(policy_.socket.c_str(), 0600) != 0 ||
      (geteuid() == 0 &&
       chown(policy_.socket.c_str(), policy_.agent.uid, policy_.agent.gid) != 0) ||
      listen(listener_.get(), 8) != 0) {
    return SystemError(errno, absl::StrCat("listen on ", policy_.socket));
  }
  return TakeOver(std::move(listener_));
}

absl::Status Door::TakeOver(UniqueFd listener) {
  listener_ = std::move(listener);
  return poller_.Watch(listener_.get(), EPOLLIN, [this] { Accept(); });
}

bool Door::PeerIsAgent(int fd) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == policy_.agent.uid) return true;
  Report("warning", "peer-refused",
         {{"uid", absl::StrCat(peer.uid)}, {"pid", absl::StrCat(peer.pid)}});
  return false;
}

void Door::Accept() {
  UniqueFd fresh(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fresh.valid() || !PeerIsAgent(fresh.get())) return;
  if (connection_.valid()) Drop(absl::UnavailableError("a newer connection replaces it"));
  connection_ = std::move(fresh);
  watched_for_ = EPOLLIN;
  absl::Status watched = poller_.Watch(connection_.get(), EPOLLIN, [this] { OnReady(); });
  if (!watched.ok()) return Drop(watched);
  Report("info", "agent-connected");
  events_.on_connected();
}

void Door::Drop(const absl::Status& why) {
  if (!connection_.valid()) return;
  Report("info", "agent-disconnected", {{"reason", std::string(why.message())}});
  poller_.Unwatch(connection_.get());
  connection_.Reset();
  outgoing_.clear();
}

void Door::OnReady() {
  Flush();
  if (connection_.valid() && outgoing_.size() < kMaxOutgoing) ReadRequests();
  events_.on_batch_end();
  Watch();
}

void Door::ReadRequests() {
  int fd = connection_.get();
  for (int i = 0; i < kMaxBatch && connection_.get() == fd; ++i) {
    auto packet = ReceivePacket(fd);
    if (!packet.ok()) return Drop(packet.status());
    if (!packet->has_value()) return;
    pb::Request request;
    if (!request.ParseFromString(**packet)) {
      return Drop(absl::InvalidArgumentError("a request cannot be parsed"));
    }
    events_.on_request(std::move(request));
  }
}

void Door::Send(const pb::Response& response) {
  if (!connection_.valid()) return;
  outgoing_.push_back(response.SerializeAsString());
  if (outgoing_.size() == 1) Flush();
  Watch();
}

void Door::Flush() {
  while (connection_.valid() && !outgoing_.empty()) {
    auto sent = SendPacket(connection_.get(), outgoing_.front());
    if (!sent.ok()) return Drop(sent.status());
    if (!*sent) return;
    outgoing_.pop_front();
  }
}

void Door::Watch() {
  if (!connection_.valid()) return;
  uint32_t events =
      (outgoing_.size() < kMaxOutgoing ? EPOLLIN : 0U) | (outgoing_.empty() ? 0U : EPOLLOUT);
  if (events == watched_for_) return;
  watched_for_ = events;
  poller_.Modify(connection_.get(), events);
}

}  // namespace appsup::keeper
