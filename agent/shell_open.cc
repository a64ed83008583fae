// How an agent comes up.
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/leftovers.h"
#include "agent/link/identity.h"
#include "agent/shell.h"
#include "common/build_info.h"
#include "common/file.h"
#include "common/log.h"
#include "common/status.h"

namespace appsup::agent {
namespace {

constexpr absl::Duration kSweepPeriod = absl::Minutes(1);

// Apps run as other users: they pass through, but see only what is theirs.
constexpr mode_t kPassThrough = 0711;
constexpr mode_t kOwn = 0700;

}  // namespace

absl::Status Agent::Shell::MakeFolders() {
  RETURN_IF_ERROR(EnsureDir(config_.state_dir, kPassThrough));
  for (const char* name : {"/instances", "/data", "/artifacts"}) {
    RETURN_IF_ERROR(EnsureDir(config_.state_dir + name, kPassThrough));
  }
  for (const char* name : {"/logs", "/output", "/discard"}) {
    RETURN_IF_ERROR(EnsureDir(config_.state_dir + name, kOwn));
  }
  return absl::OkStatus();
}

absl::StatusOr<CoreOptions> Agent::Shell::MakeOptions(const std::string& entry) {
  CoreOptions options;
  ASSIGN_OR_RETURN(options.machine_id, MachineId(config_.state_dir));
  ASSIGN_OR_RETURN(options.boot_id, BootId());
  options.versions["agent"] = kVersion;
  options.capacity = Capacity();
  options.address = config_.address.empty() ? AddressTowards(entry) : config_.address;
  options.listen_address = config_.listen_address;
  if (options.listen_address.empty()) {
    options.listen_address = IsLoopbackAddress(options.address) ? "127.0.0.1" : "0.0.0.0";
  }
  options.check_address = options.listen_address;
  if (options.check_address == "0.0.0.0") options.check_address = "127.0.0.1";
  if (options.check_address == "::") options.check_address = "::1";
  options.instances_dir = config_.state_dir + "/instances";
  options.data_dir = config_.state_dir + "/data";
  options.log_dir = config_.state_dir + "/logs";
  options.log_bound_bytes = config_.app_log_bytes / 2;  // Two streams.
  options.first_port = config_.first_port;
  options.last_port = config_.last_port;
  options.seed = random_.Next();
  return options;
}

absl::Status Agent::Shell::OpenJobs() {
  driver_ = std::make_unique<ProcessDriver>(*loop_, clock_, config_.keeper_socket, kVersion);
  runner_ =
      std::make_unique<CommandRunner>(*loop_, clock_, *driver_, config_.state_dir + "/output");
  prober_ = std::make_unique<Prober>(*loop_, clock_, random_, runner_.get());
  LogFolderOptions logs;
  logs.log_dir = config_.state_dir + "/logs";
  logs.keep_removed = config_.app_log_kept;
  logs.max_instance_bytes = config_.app_log_bytes;
  ASSIGN_OR_RETURN(logs_, LogReader::Create(*loop_, clock_, logs));
  blobs_ = std::make_unique<LinkBlobFetcher>(config_.entry, config_.identity_dir);
  SetAsideLeftovers(config_.state_dir + "/artifacts", config_.state_dir + "/discard");
  ArtifactOptions artifacts;
  artifacts.cache_dir = config_.state_dir + "/artifacts";
  artifacts.max_cache_bytes = config_.artifact_cache_bytes;
  artifacts.max_download_bytes = config_.artifact_bytes;
  ASSIGN_OR_RETURN(cache_, ArtifactCache::Create(*loop_, clock_, random_, artifacts, blobs_.get(),
                                                 runner_.get()));
  return absl::OkStatus();
}

absl::Status Agent::Shell::Open() {
  ASSIGN_OR_RETURN(loop_, EventLoop::Create());
  ASSIGN_OR_RETURN(const Identity identity, ReadIdentity(config_.identity_dir));
  const std::string entry = config_.entry.empty() ? identity.entry : config_.entry;
  RETURN_IF_ERROR(MakeFolders());
  ASSIGN_OR_RETURN(journal_, SqliteJournal::Open(config_.state_dir + "/journal.db"));
  ASSIGN_OR_RETURN(const JournalContents contents, journal_->Load());
  ASSIGN_OR_RETURN(CoreOptions options, MakeOptions(entry));
  if (auto warning = EphemeralOverlap(options.first_port, options.last_port)) {
    Log(LogLevel::kWarning, "ports-overlap", {{"message", *warning}});
  }
  core_ = std::make_unique<AgentCore>(std::move(options), contents, clock_.Now());
  JournalWriter::Callbacks callbacks;
  callbacks.committed = [this](uint64_t through) {
    loop_->Post([this, through] { Handle(JournalCommitted{through}); });
  };
  callbacks.stalled = [this](const std::string& message) {
    loop_->Post([this, message] { Handle(JournalStalled{message}); });
  };
  callbacks.failed = [this](const absl::Status& status) {
    loop_->Post([this, status] {
      failure_ = status;
      loop_->Stop();
    });
  };
  writer_ = std::make_unique<JournalWriter>(*journal_, clock_, std::move(callbacks));
  RETURN_IF_ERROR(OpenJobs());
  RETURN_IF_ERROR(ServeMetrics());
  driver_->Open(*this);
  OpenLink(entry);
  Handle(TimerDue{});
  Repeat(config_.usage_period, [this] { driver_->SampleUsage(); });
  Repeat(kSweepPeriod, [this] { Sweep(); });
  return absl::OkStatus();
}

absl::Status Agent::Shell::ServeMetrics() {
  return metrics_.Serve(config_.http_listen, [this](absl::AnyInvocable<void()> done) {
    loop_->Post([this, done = std::move(done)]() mutable {
      metrics_.Update(core_->figures());
      done();
    });
  });
}

void Agent::Shell::Sweep() {
  const AgentCore::Held held = core_->InUse();
  logs_->Sweep(held.instances);
  if (held.all_artifacts_known) cache_->Collect(held.artifact_folders);
  RemoveDiscarded();
}

void Agent::Shell::RemoveDiscarded() {
  constexpr uint64_t kNobodysToken = 0;
  std::vector<std::string> paths =
      Discarded(config_.state_dir + "/artifacts", config_.state_dir + "/discard");
  if (!paths.empty()) driver_->RemoveFolders(kNobodysToken, std::move(paths));
}

void Agent::Shell::OpenLink(const std::string& entry) {
  LinkOptions options;
  options.entry = entry;
  options.identity_dir = config_.identity_dir;
  link_ =
      std::make_unique<LinkClient>(std::move(options), clock_, random_, [this](LinkEvent event) {
        loop_->Post([this, event = std::move(event)]() mutable {
          std::visit([this](auto& it) { Handle(std::move(it)); }, event);
        });
      });
  renewal_ = std::make_unique<CertificateRenewal>(entry, config_.identity_dir, clock_, random_,
                                                  [this] { link_->Reconnect(); });
  link_->Start();
}

void Agent::Shell::Repeat(absl::Duration period, std::function<void()> what) {
  loop_->AddTimer(clock_.Now().boot + period, [this, period, what = std::move(what)]() mutable {
    what();
    Repeat(period, std::move(what));
  });
}

}  // namespace appsup::agent
