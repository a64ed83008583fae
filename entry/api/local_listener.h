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

namespace appsup::entry {

// The unix socket of the API: mode 0660, owned by `group`. The kernel says who connects: root, the
// entry's own user, and members of the group are let in; others are hung up on. gRPC cannot ask the
// kernel, so this accepts and hands the connections over. One thread of its own.
class LocalListener {
 public:
  using Accepted = std::function<void(int fd)>;  // Takes the fd.

  // Makes the socket. A file that nobody serves any more is replaced; ALREADY_EXISTS if somebody
  // does. An empty or unknown group leaves the file to the entry's own.
  static absl::StatusOr<std::unique_ptr<LocalListener>> Open(const std::string& path,
                                                             const std::string& group);
  ~LocalListener();  // Stops.

  // Begins to accept. Once.
  void Serve(Accepted accepted);

  // Accepts no more and removes the file.
  void Stop();

  // "root" for the connection that was handed over as `fd`, last of all with that number. From
  // gRPC's name of a peer: "fd:7".
  std::optional<std::string> UserOfPeer(const std::string& peer) const;

 private:
  LocalListener(std::string path, int fd, int wake, gid_t group);

  void Run();
  void AcceptOne();

  const std::string path_;
  const int fd_;
  const int wake_;  // eventfd that ends Run.
  const gid_t group_;
  Accepted accepted_;  // Constant once it serves.
  mutable Mutex mutex_;
  std::map<int, std::string> users_ ABSL_GUARDED_BY(mutex_);  // By fd; as many as fds at most.
  std::thread thread_;
};

}  // namespace appsup::entry
