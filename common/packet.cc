#include "common/packet.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/unique_fd.h"

namespace appsup {
namespace {

// Not common/status.h: the keeper uses this file and must not bring in the whole of protobuf.
absl::Status Failed(int error, const char* what) {
  char buffer[128];
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat(what, ": ", strerror_r(error, buffer, sizeof(buffer))));
}

constexpr char kInBody = 'b';
constexpr char kInMemfd = 'm';
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
// A peer may send that many at most; more would be cut off and the packet refused.
constexpr size_t kMaxFds = 4;

absl::StatusOr<UniqueFd> SealedCopy(const std::string& body) {
  UniqueFd fd(memfd_create("appsup-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Failed(errno, "memfd_create");
  size_t done = 0;
  while (done < body.size()) {
    ssize_t n = write(fd.get(), body.data() + done, body.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed(errno, "write to a memfd");
    done += static_cast<size_t>(n);
  }
  if (fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return Failed(errno, "seal a memfd");
  return fd;
}

// The length of an untrusted peer's memfd can only be relied upon once all seals are seen.
absl::StatusOr<std::string> ReadSealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return absl::InvalidArgumentError("a message came in a file that is not sealed");
  }
  struct stat info;
  if (fstat(fd, &info) != 0) return Failed(errno, "fstat of a message");
  if (info.st_size < 0 || static_cast<size_t>(info.st_size) > kBodyLimit) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message of ", info.st_size, " bytes; at most ", kBodyLimit, " are taken"));
  }
  std::string body(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < body.size()) {
    ssize_t n = pread(fd, body.data() + done, body.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed(errno, "read of a message");
    if (n == 0) return absl::InvalidArgumentError("a message is shorter than it says");
    done += static_cast<size_t>(n);
  }
  return body;
}

std::vector<UniqueFd> TakeFds(msghdr& header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

absl::StatusOr<bool> SendPacket(int socket, const std::string& body) {
  if (body.size() > kBodyLimit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a message of ", body.size(), " bytes; at most ", kBodyLimit, " can be sent"));
  }
  bool in_memfd = body.size() > kInlineLimit;
  UniqueFd memfd;
  char tag = in_memfd ? kInMemfd : kInBody;
  iovec parts[2] = {{&tag, 1}, {const_cast<char*>(body.data()), body.size()}};
  msghdr header = {};
  header.msg_iov = parts;
  header.msg_iovlen = in_memfd ? 1 : 2;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (in_memfd) {
    auto copy = SealedCopy(body);
    if (!copy.ok()) return copy.status();
    memfd = std::move(*copy);
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    int fd = memfd.get();
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
  }
  while (sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return false;
    return absl::UnavailableError(Failed(errno, "sendmsg").message());
  }
  return true;
}

absl::StatusOr<std::optional<std::string>> ReceivePacket(int socket) {
  // One buffer for the process: both programs receive on one thread.
  thread_local std::vector<char> buffer(kInlineLimit + 1);
  iovec part = {buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t n;
  do {
    n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return std::nullopt;
  if (n < 0) return absl::UnavailableError(Failed(errno, "recvmsg").message());
  std::vector<UniqueFd> fds = TakeFds(header);
  if (n == 0) return absl::UnavailableError("the other side closed the connection");
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return absl::InvalidArgumentError("a packet is too large");
  }
  if (buffer[0] == kInBody && fds.empty()) {
    return std::string(buffer.data() + 1, static_cast<size_t>(n) - 1);
  }
  if (buffer[0] == kInMemfd && n == 1 && fds.size() == 1) {
    auto body = ReadSealed(fds[0].get());
    if (!body.ok()) return body.status();
    return *std::move(body);
  }
  return absl::InvalidArgumentError("a packet of a form that does not exist");
}

}  // namespace appsup
