#include "agent/keeper/supervisor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keeper/clock.h"
#include "agent/keeper/errno_error.h"
#include "agent/keeper/folder.h"
#include "agent/keeper/process_table.h"
#include "agent/keeper/report.h"
#include "agent/keeper/small_file.h"
#include "common/build_info.h"
#include "common/step_switch.h"

namespace appsup::keeper {
namespace {

// The newest and the oldest version of the protocol that this keeper speaks.
constexpr int32_t kProtocol = 1;
constexpr int32_t kOldestProtocol = 1;
constexpr int kPageSize = 200;
constexpr int kMaxAcks = 1000;
constexpr int kMaxRemovals = 100;
constexpr size_t kMaxWorkers = 4;
constexpr size_t kMaxWaitingRemovals = 10'000;

// Keepers of one machine must not share control groups, and the same keeper must find its own
// again: FNV-1a of its run folder.
std::string GroupName(const std::string& run_dir) {
  uint64_t hash = 14695981039346656037U;
  for (unsigned char c : run_dir) hash = (hash ^ c) * 1099511628211U;
  return absl::StrCat("appsup-", absl::Hex(hash, absl::kZeroPad16));
}

absl::Status RemoveAll(const Policy& policy, const std::vector<std::string>& paths) {
  absl::Status first;
  for (const std::string& path : paths) first.Update(RemoveTree(policy, path));
  return first;
}

}  // namespace

Supervisor::Supervisor(const Policy& policy, Poller& poller, Host host)
    : policy_(policy), poller_(poller), host_(std::move(host)), warden_(poller, cgroups_) {}

absl::Status Supervisor::OpenFolders() {
  null_ = UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_.valid()) return SystemError(errno, "open /dev/null");
  for (const std::string& folder : {policy_.run_dir, policy_.state_dir}) {
    if (absl::Status s = MakeFolder(folder, 0700); !s.ok()) return s;
  }
  if (absl::Status s = Lock(); !s.ok()) return s;
  for (const std::string& root : policy_.roots) {
    struct stat info;
    if (stat(root.c_str(), &info) == 0) continue;
    if (absl::Status s = MakeFolder(root, 0711); !s.ok()) return s;
    if (geteuid() == 0 && chown(root.c_str(), policy_.agent.uid, policy_.agent.gid) != 0) {
      return SystemError(errno, absl::StrCat("change the owner of ", root));
    }
  }
  return uids_.Open(absl::StrCat(policy_.state_dir, "/uids"), policy_.first_uid, policy_.last_uid);
}

absl::Status Supervisor::Lock() {
  if (lock_.valid()) return absl::OkStatus();  // Held since the program before.
  std::string lock = absl::StrCat(policy_.run_dir, "/lock");
  lock_ = UniqueFd(open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_.valid()) return SystemError(errno, absl::StrCat("open ", lock));
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("another keeper runs on ", policy_.run_dir, "; there can be one"));
}

absl::Status Supervisor::Open(const pb::KeeperState* from) {
  boot_id_ = ReadBootId();
  if (from != nullptr) lock_ = UniqueFd(from->lock());
  if (absl::Status s = OpenFolders(); !s.ok()) return s;
  if (from == nullptr) cgroups_.Open(GroupName(policy_.run_dir), policy_.use_cgroups);
  if (from != nullptr) cgroups_.TakeOver(from->groups());
  std::vector<std::pair<int, pb::ProcessRecord>> left;
  absl::Status opened = children_.Open(absl::StrCat(policy_.run_dir, "/processes"), &left);
  if (!opened.ok()) return opened;
  if (from != nullptr) return TakeOver(*from);
  KillOrphanedFenced(left);
  for (const auto& [slot, record] : left) Inherit(slot, record);
  return absl::OkStatus();
}

void Supervisor::Close() { cgroups_.Close(); }

pb::Response Supervisor::OkResponse(uint64_t request) {
  pb::Response response;
  response.set_id(request);
  return response;
}

void Supervisor::Fail(uint64_t request, const absl::Status& why) {
  pb::Response response = OkResponse(request);
  response.mutable_error()->set_code(static_cast<int32_t>(why.code()));
  response.mutable_error()->set_message(std::string(why.message()));
  Send(response);
}

void Supervisor::Hello(uint64_t request, const pb::HelloRequest& hello) {
  if (hello.protocol() < kOldestProtocol) {
    return Fail(request, absl::FailedPreconditionError(absl::StrCat(
                             "agent ", hello.version(), " speaks the protocol up to version ",
                             hello.protocol(), ", keeper ", kVersion, " from version ",
                             kOldestProtocol, " on: upgrade the agent")));
  }
  pb::Response response = OkResponse(request);
  pb::HelloResponse& answer = *response.mutable_hello();
  answer.set_protocol(std::min(hello.protocol(), kProtocol));
  answer.set_version(kVersion);
  if (cgroups_.cpu()) answer.add_enforces("cpu");
  if (cgroups_.memory()) answer.add_enforces("memory");
  if (cgroups_.pids()) answer.add_enforces("pids");
  if (geteuid() == 0) answer.add_enforces("user");
  if (cgroups_.tree_kill()) answer.add_enforces("tree_kill");
  if (cgroups_.tree_kill()) answer.add_enforces("deadline");
  std::string message = cgroups_.missing();
  if (geteuid() != 0) {
    message = absl::StrCat(message, message.empty() ? "" : "; ",
                           "all apps run as the keeper's own user, which is not root");
  }
  answer.set_message(message);
  Send(response);
}

void Supervisor::SetLimits(uint64_t request, const pb::SetLimitsRequest& limits) {
  Child* child = children_.Find(ProcessKey(limits.id()));
  if (child == nullptr || child->state == ChildState::kExited) {
    return Fail(request, absl::NotFoundError("no such process runs"));
  }
  absl::Status status =
      cgroups_.SetLimits(child->group(), WithinCeilings(policy_, limits.limits()));
  if (!status.ok()) return Fail(request, status);
  Send(OkResponse(request));
}

void Supervisor::List(uint64_t request, const pb::ListRequest& list) {
  Flush();  // What was asked for before is in it.
  pb::Response response = OkResponse(request);
  pb::ListResponse& page = *response.mutable_list();
  int count = 0;
  std::string last = list.page_token();
  children_.ForEachAfter(list.page_token(), [&](Child& child) {
    if (count++ == kPageSize) {
      page.set_next_page_token(last);
      return false;
    }
    last = child.key;
    if (child.state == ChildState::kExited) {
      *page.add_exited() = child.exit;
    } else {
      child.listed = child.state == ChildState::kStarting;
      pb::RunningProcess& running = *page.add_running();
      *running.mutable_id() = child.id;
      running.set_app_uid(child.app_uid);
      running.set_pid(child.pid);
      running.set_start_boot_nanos(child.start_boot_nanos);
      running.set_fenced(child.fence.set());
    }
    return true;
  });
  Send(response);
}

void Supervisor::AckExits(uint64_t request, const pb::AckExitsRequest& acks) {
  if (acks.ids_size() > kMaxAcks) {
    return Fail(request, absl::InvalidArgumentError("too many exits in one request"));
  }
  for (const pb::ProcessId& id : acks.ids()) {
    Child* child = children_.Find(ProcessKey(id));
    if (child != nullptr && child->state == ChildState::kExited) children_.Erase(*child);
  }
  Send(OkResponse(request));
}

void Supervisor::SampleUsage(uint64_t request, const pb::SampleUsageRequest& sample) {
  pb::Response response = OkResponse(request);
  pb::SampleUsageResponse& page = *response.mutable_sample_usage();
  std::map<pid_t, TreeUsage> sessions;
  if (!cgroups_.tree_kill()) {
    for (const ProcessInfo& info : ReadProcesses()) {
      TreeUsage& usage = sessions[info.session];
      usage.cpu_micros += info.cpu_micros;
      usage.memory_bytes += info.resident_bytes;
      usage.pids += info.threads;
    }
  }
  int count = 0;
  std::string last = sample.page_token();
  children_.ForEachAfter(sample.page_token(), [&](Child& child) {
    if (count == kPageSize) {
      page.set_next_page_token(last);
      return false;
    }
    last = child.key;
    if (child.state == ChildState::kExited || child.state == ChildState::kStarting) return true;
    TreeUsage usage = cgroups_.tree_kill() ? cgroups_.Usage(child.group()) : sessions[child.pid];
    pb::SampleUsageResponse::Sample& one = *page.add_samples();
    *one.mutable_id() = child.id;
    one.set_cpu_micros(usage.cpu_micros);
    one.set_memory_bytes(usage.memory_bytes);
    one.set_pids(usage.pids);
    one.set_boot_nanos(BootNanos());
    ++count;
    return true;
  });
  Send(response);
}

void Supervisor::RemoveFolders(uint64_t request, const pb::RemoveFoldersRequest& remove) {
  if (remove.paths_size() > kMaxRemovals || removals_.size() >= kMaxWaitingRemovals) {
    return Fail(request,
                absl::ResourceExhaustedError("too many folders are to be removed at once"));
  }
  std::vector<std::string> paths(remove.paths().begin(), remove.paths().end());
  for (const std::string& path : paths) {
    auto rooted = BeneathRoot(policy_, path);
    if (!rooted.ok()) return Fail(request, rooted.status());
  }
  removals_.emplace_back(request, std::move(paths));
  StartWorkers();
}

void Supervisor::StartWorkers() {
  while (!removals_.empty() && workers_.size() < kMaxWorkers) {
    auto [request, paths] = std::move(removals_.front());
    removals_.pop_front();
    auto worker = ForkWorker(RemoveAll, policy_, paths);
    if (!worker.ok()) {
      Fail(request, worker.status());
      continue;
    }
    pid_t pid = worker->pid;
    workers_[pid] = {request, *std::move(worker)};
  }
}

bool Supervisor::ReapWorker(pid_t pid, bool ended_well) {
  auto it = workers_.find(pid);
  if (it == workers_.end()) return false;
  APPSUP_STEP("worker-ended");
  absl::Status why;
  Outcome outcome = ReadOutcome(it->second.process.gate.get(), &why);
  uint64_t request = it->second.request;
  workers_.erase(it);
  if (request != 0) {
    if (outcome == Outcome::kFailed) {
      Fail(request, why);
    } else if (!ended_well) {
      Fail(request, absl::InternalError("the process that removes folders was killed"));
    } else {
      Send(OkResponse(request));
    }
  }
  StartWorkers();
  return true;
}

void Supervisor::ForgetRequests() {
  Flush();  // What was asked is done; only the answers have no taker.
  children_.ForEachAfter("", [](Child& child) {
    child.waiters.clear();
    return true;
  });
  for (auto& [pid, worker] : workers_) worker.request = 0;
  for (auto& [request, paths] : removals_) request = 0;
}

void Supervisor::LookAtLogs(int64_t boot_nanos) {
  if (log_timer_ != Poller::TimerId()) {
    if (log_timer_.first <= boot_nanos) return;
    poller_.Cancel(log_timer_);
  }
  log_timer_ = poller_.At(boot_nanos, [this] { BoundLogs(); });
}

void Supervisor::BoundLogs() {
  log_timer_ = {};
  const int64_t now = BootNanos();
  const int64_t quiet = QuietPause(log_count_);
  int64_t next = 0;
  log_count_ = 0;
  children_.ForEachAfter("", [&](Child& child) {
    if (child.state == ChildState::kExited || child.log_bound <= 0) return true;
    for (LogFile& log : child.logs) {
      ++log_count_;
      // What is due soon is looked at in the same round.
      absl::Status status;
      if (log.next_look() <= now + quiet / 2) status = log.Bound(now, quiet);
      if (!status.ok()) {
        Report("warning", "log-not-bounded",
               {{"instance", child.id.instance_uid()}, {"error", std::string(status.message())}});
      }
      next = next == 0 ? log.next_look() : std::min(next, log.next_look());
    }
    return true;
  });
  if (next != 0) LookAtLogs(next);
}

}  // namespace appsup::keeper
