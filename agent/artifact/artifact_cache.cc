#include "agent/artifact/artifact_cache.h"

#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "agent/artifact/artifact_error.h"
#include "agent/artifact/artifact_request.h"
#include "agent/artifact/fetch.h"
#include "agent/artifact/tree_store.h"
#include "agent/artifact/unpack.h"
#include "agent/artifact/worker_pool.h"
#include "common/backoff.h"
#include "common/log.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

using appsupervisor::v1::UnpackMode;

constexpr size_t kWorkers = 4;
constexpr absl::Duration kProgressEvery = absl::Milliseconds(200);
constexpr absl::Duration kLongestRetry = absl::Seconds(10);

struct PendingRequest {
  ArtifactRequest request;
  ArtifactCache::Callback callback;
  ArtifactCache::Progress progress;
  uint64_t job = 0;  // 0: not joined yet, `timer` is set.
  EventLoop::TimerId timer = 0;
};

// One artifact on its way. Belongs to the loop; workers share `fetch` and `cancelled`, and use
// `fetch` only while their task runs.
struct Job {
  ArtifactRequest request;
  std::set<ArtifactCache::RequestId> requests;
  std::shared_ptr<std::atomic<bool>> cancelled;
  std::shared_ptr<Fetch> fetch;
  int tries = 0;
  EventLoop::TimerId retry = 0;
  std::string tree;  // Name; once the digest is known.
  bool installing = false;
};

}  // namespace

struct ArtifactCache::State : std::enable_shared_from_this<ArtifactCache::State> {
  State(EventLoop& loop_in, Clock& clock_in, Random& random_in, ArtifactOptions options_in,
        BlobFetcher* blobs_in, InstallRunner* installer_in, TreeStore trees_in)
      : loop(loop_in),
        clock(clock_in),
        random(random_in),
        options(std::move(options_in)),
        blobs(blobs_in),
        installer(installer_in),
        trees(std::move(trees_in)) {}

  // Runs `work` on a worker and `then`, with what it returned, on the loop, if the job and the
  // cache still exist.
  template <class Work, class Then>
  void Offload(uint64_t id, Work work, Then then) {
    pool.Submit([weak = weak_from_this(), &loop = loop, id, work = std::move(work),
                 then = std::move(then)]() mutable {
      loop.Post([weak, id, result = work(), then = std::move(then)]() mutable {
        const auto self = weak.lock();
        if (self != nullptr && self->jobs.count(id) > 0) {
          then(*self, self->jobs.at(id), std::move(result));
        }
      });
    });
  }

  // --- Requests ---

  void Begin(RequestId request_id) {
    PendingRequest& pending = requests.at(request_id);
    pending.timer = 0;
    const ArtifactRequest& request = pending.request;
    if (!request.sha256.empty() && IsReady(request.TreeName(request.sha256))) {
      return Answer(request_id, Ready(request, request.sha256));
    }
    const std::string key = request.JobKey();
    uint64_t id = 0;
    if (const auto found = job_by_key.find(key); found != job_by_key.end()) {
      id = found->second;
    } else {
      id = next_id++;
      job_by_key[key] = id;
      Job& job = jobs[id];
      job.request = request;
      job.cancelled = std::make_shared<std::atomic<bool>>(false);
      job.fetch = std::make_shared<Fetch>(
          request,
          FetchLimits{options.max_download_bytes, options.connect_timeout, options.stall_timeout},
          trees.TempPath("fetch-" + std::to_string(id)), blobs, job.cancelled);
      StartFetch(id, job);
    }
    pending.job = id;
    jobs.at(id).requests.insert(request_id);
  }

  void Answer(RequestId request_id, absl::StatusOr<ArtifactReady> answer) {
    Callback callback = std::move(requests.at(request_id).callback);
    requests.erase(request_id);
    callback(std::move(answer));
  }

  // A tree that somebody deleted by hand is made again.
  bool IsReady(const std::string& name) {
    struct stat info {};
    return trees.Find(name) != nullptr && stat(trees.Path(name).c_str(), &info) == 0 &&
           S_ISDIR(info.st_mode);
  }

  absl::StatusOr<ArtifactReady> Ready(const ArtifactRequest& request, const std::string& sha256) {
    const std::string name = request.TreeName(sha256);
    if (request.unpack == UnpackMode::UNPACK_MODE_ARCHIVE && !trees.Find(name)->file.empty()) {
      return InvalidArtifact("unpack " + request.Display() + ": it is no archive");
    }
    RETURN_IF_ERROR(trees.Use(name, request.file_name, clock.Now().wall));
    return ArtifactReady{trees.Path(name), sha256};
  }

  // --- Fetch ---

  void StartFetch(uint64_t id, Job& job) {
    job.retry = 0;
    ++job.tries;
    Offload(
        id, [fetch = job.fetch, report = Reporter(id)] { return fetch->Try(report); },
        [id](State& self, Job& done, absl::Status status) {
          self.OnFetched(id, done, std::move(status));
        });
  }

  // Called by a worker with each piece that arrives; passes some of them on.
  Fetch::Progress Reporter(uint64_t id) {
    return [weak = weak_from_this(), &loop = loop, &clock = clock, id,
            last = -absl::InfiniteDuration()](int64_t bytes, int64_t total) mutable {
      const absl::Duration now = clock.Now().boot;
      if (now - last < kProgressEvery) return;
      last = now;
      loop.Post([weak, id, bytes, total] {
        if (const auto self = weak.lock()) self->Report(id, bytes, total);
      });
    };
  }

  void Report(uint64_t id, int64_t bytes, int64_t total) {
    const auto found = jobs.find(id);
    if (found == jobs.end()) return;
    const std::set<RequestId> waiting = found->second.requests;
    for (const RequestId request_id : waiting) {
      const auto request = requests.find(request_id);
      if (request == requests.end() || !request->second.progress) continue;
      const Progress progress = request->second.progress;  // It may cancel its request.
      progress(bytes, total);
    }
  }

  void OnFetched(uint64_t id, Job& job, absl::Status status) {
    if (absl::IsUnavailable(status) && !*job.cancelled && job.tries < options.fetch_tries) {
      const Backoff backoff({.initial = options.first_retry, .max = kLongestRetry, .jitter = 0.2});
      const absl::Duration delay =
          backoff.Next(static_cast<uint32_t>(job.tries - 1), random.Next());
      Log(LogLevel::kDebug, "artifact-retry", {{"error", status}, {"in", delay}});
      job.retry =
          loop.AddTimer(clock.Now().boot + delay, [this, id] { StartFetch(id, jobs.at(id)); });
      return;
    }
    if (!status.ok()) return End(id, std::move(status));
    job.tree = job.request.TreeName(job.fetch->sha256());
    Build(id, job);
  }

  // --- Unpack and install: one job at a time per tree ---

  void Build(uint64_t id, Job& job) {
    if (*job.cancelled) return End(id, absl::CancelledError("cancelled"));
    if (IsReady(job.tree)) return End(id, absl::OkStatus());
    if (!building.emplace(job.tree, id).second) {
      queued[job.tree].push_back(id);  // The same bytes by another URI.
      return;
    }
    const std::string temp = trees.TempPath("tree-" + std::to_string(id));
    const UnpackLimits limits{options.max_unpacked_bytes, options.max_entries};
    Offload(
        id,
        [job, temp, path = trees.Path(job.tree), limits] {
          auto tree = MakeTree(job, temp, path, limits);
          if (!tree.ok()) IgnoreError(TreeStore::Remove(temp), "the next start removes it");
          return tree;
        },
        [id](State& self, Job& done, absl::StatusOr<TreeStore::Tree> tree) {
          self.OnBuilt(id, done, std::move(tree));
        });
  }

  // On a worker. Sealed, unless an install command comes first.
  static absl::StatusOr<TreeStore::Tree> MakeTree(const Job& job, const std::string& temp,
                                                  const std::string& path,
                                                  const UnpackLimits& limits) {
    if (mkdir(temp.c_str(), 0755) != 0 || chmod(temp.c_str(), 0755) != 0) {
      return ArtifactDiskError(errno, "make " + temp);
    }
    ASSIGN_OR_RETURN(const Unpacked unpacked,
                     Unpack(job.fetch->path(), job.request.file_name, job.request.Display(),
                            job.request.unpack, temp, limits, *job.cancelled));
    RETURN_IF_ERROR(TreeStore::Place(temp, path));
    TreeStore::Tree tree{unpacked.bytes, unpacked.single_file ? job.request.file_name : "", {}};
    if (job.request.install.empty()) RETURN_IF_ERROR(TreeStore::Seal(path, tree));
    return tree;
  }

  void OnBuilt(uint64_t id, Job& job, absl::StatusOr<TreeStore::Tree> tree) {
    if (!tree.ok()) return End(id, tree.status());
    if (job.request.install.empty()) {
      trees.Add(job.tree, std::move(*tree));
      return End(id, absl::OkStatus());
    }
    if (*job.cancelled) return End(id, absl::CancelledError("cancelled"));
    job.installing = true;
    InstallJob install{id, job.tree, trees.Path(job.tree), job.request.install,
                       job.request.install_timeout};
    installer->RunInstall(install, [weak = weak_from_this(), id,
                                    tree = std::move(*tree)](absl::Status status) mutable {
      const auto self = weak.lock();
      if (self != nullptr && self->jobs.count(id) > 0) {
        self->OnInstalled(id, self->jobs.at(id), std::move(tree), std::move(status));
      }
    });
  }

  void OnInstalled(uint64_t id, Job& job, TreeStore::Tree tree, absl::Status status) {
    job.installing = false;
    if (!status.ok()) {
      return End(id, MakeError(absl::StatusCode::kFailedPrecondition, kInstallFailed,
                               "install: " + std::string(status.message())));
    }
    Offload(
        id,
        [path = trees.Path(job.tree),
         tree = std::move(tree)]() mutable -> absl::StatusOr<TreeStore::Tree> {
          tree.bytes = TreeStore::Measure(path);
          RETURN_IF_ERROR(TreeStore::Seal(path, tree));
          return std::move(tree);
        },
        [id](State& self, Job& done, absl::StatusOr<TreeStore::Tree> sealed) {
          if (!sealed.ok()) return self.End(id, sealed.status());
          self.trees.Add(done.tree, std::move(*sealed));
          self.End(id, absl::OkStatus());
        });
  }

  // Answers everybody who waits, and lets the next job for the same tree go on.
  void End(uint64_t id, const absl::Status& status) {
    const auto ended = jobs.extract(id);
    Job& job = ended.mapped();
    const auto by_key = job_by_key.find(job.request.JobKey());
    if (by_key != job_by_key.end() && by_key->second == id) job_by_key.erase(by_key);
    const std::string sha256 = status.ok() ? job.fetch->sha256() : "";
    // The file goes with the fetch, on a worker: it may be large.
    pool.Submit([fetch = std::move(job.fetch)] {});
    if (const auto mine = building.find(job.tree); mine != building.end() && mine->second == id) {
      building.erase(mine);
      if (!status.ok()) RemoveLater(trees.Discard(job.tree));
      GoOn(job.tree);
    }
    for (const RequestId request_id : job.requests) {
      const auto found = requests.find(request_id);
      if (found == requests.end()) continue;  // Cancelled by a callback before it.
      if (status.ok()) {
        Answer(request_id, Ready(found->second.request, sha256));
      } else {
        Answer(request_id, status);
      }
    }
  }

  void RemoveLater(const std::string& path) {
    if (path.empty()) return;
    pool.Submit([path] { IgnoreError(TreeStore::Remove(path), "the next start removes it"); });
  }

  void GoOn(const std::string& tree) {
    const auto found = queued.extract(tree);
    if (found.empty()) return;
    for (const uint64_t id : found.mapped()) {
      // In a round of its own: the callbacks of the ended job come first.
      loop.Post([weak = weak_from_this(), id] {
        const auto self = weak.lock();
        if (self != nullptr && self->jobs.count(id) > 0) self->Build(id, self->jobs.at(id));
      });
    }
  }

  void Abandon(uint64_t id) {
    Job& job = jobs.at(id);
    *job.cancelled = true;
    // A later request for the same begins anew.
    job_by_key.erase(job.request.JobKey());
    const bool waits = job.retry != 0 || job.installing;
    loop.CancelTimer(job.retry);
    if (job.installing) installer->CancelInstall(id);
    if (waits) End(id, absl::CancelledError("cancelled"));
    // Else a worker has it, or the queue: that ends it.
  }

  EventLoop& loop;
  Clock& clock;
  Random& random;
  const ArtifactOptions options;
  BlobFetcher* const blobs;
  InstallRunner* const installer;
  TreeStore trees;
  std::map<RequestId, PendingRequest> requests;
  std::map<uint64_t, Job> jobs;
  std::map<std::string, uint64_t> job_by_key;           // Jobs that further requests may join.
  std::map<std::string, uint64_t> building;             // Tree -> the one job that makes it.
  std::map<std::string, std::vector<uint64_t>> queued;  // Tree -> jobs that wait for it.
  uint64_t next_id = 1;
  WorkerPool pool{kWorkers};  // Last: its threads end before the rest goes.
};

absl::StatusOr<std::unique_ptr<ArtifactCache>> ArtifactCache::Create(EventLoop& loop, Clock& clock,
                                                                     Random& random,
                                                                     ArtifactOptions options,
                                                                     BlobFetcher* blobs,
                                                                     InstallRunner* installer) {
  ASSIGN_OR_RETURN(TreeStore trees, TreeStore::Open(options.cache_dir));
  auto state = std::make_shared<State>(loop, clock, random, std::move(options), blobs, installer,
                                       std::move(trees));
  return std::unique_ptr<ArtifactCache>(new ArtifactCache(std::move(state)));
}

ArtifactCache::ArtifactCache(std::shared_ptr<State> state) : state_(std::move(state)) {}

ArtifactCache::~ArtifactCache() {
  for (auto& [id, request] : state_->requests) state_->loop.CancelTimer(request.timer);
  for (auto& [id, job] : state_->jobs) {
    *job.cancelled = true;
    state_->loop.CancelTimer(job.retry);
    if (job.installing) state_->installer->CancelInstall(id);
  }
}

ArtifactCache::RequestId ArtifactCache::Ensure(const appsupervisor::v1::Artifact& artifact,
                                               const appsupervisor::v1::Install& install,
                                               Callback callback, Progress progress) {
  absl::StatusOr<ArtifactRequest> request = CheckArtifact(artifact, install);
  if (request.ok() && request->blob && state_->blobs == nullptr) {
    request = InvalidArtifact("artifact.blob: this agent has no entry to fetch blobs from");
  }
  if (request.ok() && !request->install.empty() && state_->installer == nullptr) {
    request = InvalidArtifact("install: this agent cannot run install commands");
  }
  if (state_->requests.size() >= kMaxRequests) {
    request = MakeError(absl::StatusCode::kResourceExhausted, "TOO_MANY_ARTIFACTS",
                        "this node makes " + std::to_string(kMaxRequests) +
                            " artifacts ready, the most it may; try again");
  }
  const RequestId id = state_->next_id++;
  PendingRequest& pending = state_->requests[id];
  pending.callback = std::move(callback);
  pending.progress = std::move(progress);
  const absl::Status fault = request.status();
  if (request.ok()) pending.request = std::move(*request);
  pending.timer =
      state_->loop.AddTimer(state_->clock.Now().boot, [state = state_.get(), id, fault] {
        if (fault.ok()) return state->Begin(id);
        state->Answer(id, fault);
      });
  return id;
}

void ArtifactCache::Cancel(RequestId id) {
  const auto found = state_->requests.find(id);
  if (found == state_->requests.end()) return;
  const uint64_t job = found->second.job;
  state_->loop.CancelTimer(found->second.timer);
  state_->requests.erase(found);
  const auto joined = state_->jobs.find(job);
  if (joined == state_->jobs.end()) return;
  joined->second.requests.erase(id);
  if (joined->second.requests.empty()) state_->Abandon(job);
}

size_t ArtifactCache::Collect(const std::set<std::string>& in_use) {
  std::set<std::string> keep;
  const std::string prefix = state_->trees.Path("");
  for (const std::string& path : in_use) {
    if (path.rfind(prefix, 0) == 0) keep.insert(path.substr(prefix.size()));
  }
  for (const auto& [name, job] : state_->building) keep.insert(name);
  const std::vector<std::string> evicted =
      state_->trees.Evict(keep, state_->options.max_cache_bytes);
  for (const std::string& path : evicted) state_->RemoveLater(path);
  return evicted.size();
}

int64_t ArtifactCache::bytes() const { return state_->trees.bytes(); }

}  // namespace appsup::agent
