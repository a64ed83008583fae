#include "entry/api/local_listener.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "common/file.h"
#include "common/log.h"
#include "common/status.h"

namespace appsup::entry {
namespace {

constexpr int kBacklog = 128;
constexpr int kMaxGroups = 4096;
// Connections get these numbers in turn, where the process may have so many.
constexpr int kFirstNumber = 256;
constexpr int kLastNumber = 4096;

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError("the path " + path + " is too long for a unix socket (107)");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// Removes a socket file that a dead process left behind.
absl::Status RemoveStale(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(path + " is in the way, and it is no socket");
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool served = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  if (served) return absl::AlreadyExistsError("another program serves " + path);
  if (unlink(path.c_str()) != 0) return ErrnoError(errno, "unlink " + path);
  return absl::OkStatus();
}

absl::StatusOr<gid_t> GroupId(const std::string& name) {
  group entry{};
  group* found = nullptr;
  std::vector<char> buffer(1 << 20);
  const int error = getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return found->gr_gid;
  if (error != 0) return ErrnoError(error, "look up the group " + name);
  return absl::NotFoundError("there is no group " + name + ": make it, name another one as " +
                             "api.socket_group, or none (\"\") to let in no group");
}

std::string UserName(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? "uid-" + std::to_string(uid) : found->pw_name;
}

bool IsInGroup(int fd, const ucred& peer, gid_t group) {
  if (peer.gid == group) return true;
  std::vector<gid_t> groups(kMaxGroups);
  socklen_t length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) return false;
  groups.resize(length / sizeof(gid_t));
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

absl::Status GiveToGroup(const std::string& path, gid_t gid, const std::string& name) {
  if (chown(path.c_str(), static_cast<uid_t>(-1), gid) != 0) {
    return ErrnoError(errno, "give " + path + " to the group " + name);
  }
  if (chmod(path.c_str(), 0660) != 0) return ErrnoError(errno, "chmod " + path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalListener>> LocalListener::Open(const std::string& path,
                                                                   const std::string& group) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  std::optional<gid_t> gid;
  if (!group.empty()) {
    ASSIGN_OR_RETURN(gid, GroupId(group));
  }
  RETURN_IF_ERROR(EnsureDir(std::filesystem::path(path).parent_path().string(), 0755));
  RETURN_IF_ERROR(RemoveStale(path, address));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "socket");
  // Closed to all but its owner until it has its group.
  const mode_t old_mask = umask(0177);
  const bool bound =
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  umask(old_mask);
  if (!bound) return ErrnoError(errno, "listen on " + path);
  absl::Status status;
  if (gid.has_value()) status = GiveToGroup(path, *gid, group);
  if (status.ok() && listen(fd.get(), kBacklog) != 0)
    status = ErrnoError(errno, "listen on " + path);
  if (!status.ok()) {
    unlink(path.c_str());
    return status;
  }
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoError(errno, "eventfd");
  return std::unique_ptr<LocalListener>(
      new LocalListener(path, std::move(fd), std::move(wake), gid));
}

LocalListener::LocalListener(std::string path, UniqueFd fd, UniqueFd wake,
                             std::optional<gid_t> group)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      wake_(std::move(wake)),
      group_(group),
      next_number_(kFirstNumber) {}

LocalListener::~LocalListener() { Stop(); }

void LocalListener::Serve(Accepted accepted) {
  accepted_ = std::move(accepted);
  thread_ = std::thread([this] { Run(); });
}

void LocalListener::Stop() {
  eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) thread_.join();
  unlink(path_.c_str());
}

void LocalListener::Run() {
  pollfd fds[] = {{fd_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  for (;;) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if ((fds[1].revents & POLLIN) != 0) return;
    if ((fds[0].revents & POLLIN) != 0) AcceptOne();
  }
}

void LocalListener::AcceptOne() {
  int fd = accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    // Out of descriptors: the connection stays in the backlog; not to spin meanwhile.
    pollfd wake{wake_.get(), POLLIN, 0};
    if (errno == EMFILE || errno == ENFILE) poll(&wake, 1, 100);
    return;
  }
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
      (peer.uid != 0 && peer.uid != geteuid() &&
       !(group_.has_value() && IsInGroup(fd, peer, *group_)))) {
    Log(LogLevel::kWarning, "local-peer-refused",
        {{"uid", static_cast<int64_t>(peer.uid)}, {"pid", static_cast<int64_t>(peer.pid)}});
    close(fd);
    return;
  }
  fd = Renumbered(fd);
  std::string user = UserName(peer.uid);
  {
    MutexLock lock(&mutex_);
    users_[fd] = std::move(user);
  }
  accepted_(fd);
}

// The kernel gives away the number of a closed connection at once, while gRPC may still hand over
// calls of it: they would be the next one's. So numbers come round as late as possible.
int LocalListener::Renumbered(int fd) {
  int number = fcntl(fd, F_DUPFD_CLOEXEC, next_number_);
  if (number < 0) number = fcntl(fd, F_DUPFD_CLOEXEC, kFirstNumber);  // Beyond the process's limit.
  if (number < 0) return fd;
  next_number_ = number < kLastNumber ? number + 1 : kFirstNumber;
  close(fd);
  return number;
}

std::optional<std::string> LocalListener::UserOfPeer(const std::string& peer) const {
  if (peer.compare(0, 3, "fd:") != 0) return std::nullopt;
  MutexLock lock(&mutex_);
  auto user = users_.find(std::atoi(peer.c_str() + 3));
  if (user == users_.end()) return std::nullopt;
  return user->second;
}

}  // namespace appsup::entry
