#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/artifact/blob_fetcher.h"
#include "agent/artifact/install_runner.h"
#include "appsupervisor/v1/app.pb.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/random.h"

namespace appsup::agent {

struct ArtifactOptions {
  std::string cache_dir;                                 // Made (0755) if absent.
  int64_t max_cache_bytes = int64_t{20} << 30;           // Collect goes down to it.
  int64_t max_download_bytes = int64_t{8} << 30;         // Of one artifact.
  int64_t max_unpacked_bytes = int64_t{32} << 30;        // Of one artifact.
  int64_t max_entries = 1'000'000;                       // Files, folders and links of one archive.
  int fetch_tries = 4;                                   // Including the first.
  absl::Duration first_retry = absl::Milliseconds(500);  // Doubles, +-20 %.
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration stall_timeout = absl::Seconds(30);  // A source that sends nothing for so long.
};

struct ArtifactReady {
  std::string path;    // Absolute folder.
  std::string sha256;  // Of the artifact's file: to be pinned where the spec has none.
};

// Code on this node, by content: `<cache_dir>/<sha256>[-file][-<install digest>]/`. A tree that can
// be seen under such a name with a `<name>.ready` beside it is complete, verified and installed;
// all else is rubbish of a crash, which Create removes. Trees are 0755/0644, owned by the agent and
// not to be changed by anyone afterwards.
//
//   Ensure -> fetch, verify (worker) -> unpack beside, sync, rename (worker) -> install -> .ready
//
// Loop thread only; slow work is done by up to four threads of its own. Requests for one key share
// one job. Destroyed before the loop: then jobs end, callbacks are dropped.
//
// Errors carry a reason: ARTIFACT_INVALID (spec or archive), ARTIFACT_UNREACHABLE,
// ARTIFACT_NOT_FOUND, ARTIFACT_DIGEST_MISMATCH, ARTIFACT_TOO_LARGE, ARTIFACT_DISK (this node's
// disk), INSTALL_FAILED. Only UNAVAILABLE and RESOURCE_EXHAUSTED are worth a later try as they are.
class ArtifactCache {
 public:
  using RequestId = uint64_t;  // Never 0.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ArtifactReady>)>;
  // At most every 200 ms while fetching. `total` is -1 if unknown.
  using Progress = std::function<void(int64_t bytes, int64_t total)>;

  static constexpr size_t kMaxRequests = 10'000;
  static constexpr absl::Duration kDefaultInstallTimeout = absl::Minutes(30);

  // `blobs` and `installer` may be null: requests that need them are refused.
  static absl::StatusOr<std::unique_ptr<ArtifactCache>> Create(EventLoop& loop, Clock& clock,
                                                               Random& random,
                                                               ArtifactOptions options,
                                                               BlobFetcher* blobs,
                                                               InstallRunner* installer);
  ~ArtifactCache();
  ArtifactCache(const ArtifactCache&) = delete;
  ArtifactCache& operator=(const ArtifactCache&) = delete;

  // Calls `callback` once, on the loop thread, never from within Ensure. `install` without a
  // command is none. A file that is no archive is placed in the folder under the URI's last segment
  // (`artifact` for a blob), executable if it is ELF or begins with #!.
  RequestId Ensure(const appsupervisor::v1::Artifact& artifact,
                   const appsupervisor::v1::Install& install, Callback callback,
                   Progress progress = nullptr);

  // Drops the callback; the job ends when nobody waits for it. Nothing if it was answered.
  void Cancel(RequestId id);

  // Removes trees that are not in `in_use` (paths as Ensure gave them) and not being made, longest
  // unused first, until the rest fits into max_cache_bytes. Answers how many it took away.
  size_t Collect(const std::set<std::string>& in_use);

  int64_t bytes() const;  // Of all ready trees.

 private:
  struct State;
  explicit ArtifactCache(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace appsup::agent
