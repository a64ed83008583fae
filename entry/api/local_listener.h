#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/unique_fd.h"

namespace appsup::entry {

// The unix socket of the API: mode 0660, owned by `group`; without a group mode 0600. The kernel
// says who connects: root, the entry's own user, and members of the group are let in; others are
// hung up on. gRPC cannot ask the kernel, so this accepts and hands the connections over. One
// thread of its own.
class LocalListener {
 public:
  using Accepted = std::function<void(int fd)>;  // Takes the fd.

  // Makes the socket. A file that nobody serves any more is replaced; ALREADY_EXISTS if somebody
  // does. NOT_FOUND if there is no such group, PERMISSION_DENIED if the file cannot be given to it.
  static absl::StatusOr<std::unique_ptr<LocalListener>> Open(const std::string& path,
                                                             const std::string& group);
  ~LocalListener();  // Stops.

  // Begins to accept. Once.
  void Serve(Accepted accepted);

  // Accepts no more and removes the file.
  void Stop();

  // "root" for the connection that was handed over as `fd`, last of all with that number, also when
  // it is closed by now: a call of it may still be on its way. From gRPC's name of a peer: "fd:7".
  std::optional<std::string> UserOfPeer(const std::string& peer) const;

 private:
  LocalListener(std::string path, UniqueFd fd, UniqueFd wake, std::optional<gid_t> group);

  void Run();
  void AcceptOne();
  int Renumbered(int fd);

  const std::string path_;
  const UniqueFd fd_;
  const UniqueFd wake_;  // eventfd that ends Run.
  const std::optional<gid_t> group_;
  Accepted accepted_;  // Constant once it serves.
  int next_number_;    // Of the next connection. Own thread only.
  mutable Mutex mutex_;
  // By fd. Never more than numbers in turn and connections that were open at one time.
  std::map<int, std::string> users_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace appsup::entry
