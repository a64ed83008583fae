#include "entry/entry.h"

#include <unistd.h>

#include <utility>

#include "appsupervisor/v1/link.pb.h"
#include "common/file.h"
#include "common/log.h"
#include "common/rpc/credentials.h"
#include "common/status.h"
#include "entry/api/call_metrics.h"
#include "entry/api/enrollment.h"
#include "entry/app_lookup.h"
#include "entry/catalog_metrics.h"
#include "entry/core/session_hello.h"
#include "entry/link/fetch_blob.h"

namespace appsup::entry {
namespace {

constexpr char kCreateEnrollmentToken[] = "appsupervisor.v1.NodeService/CreateEnrollmentToken";
constexpr int kMaxLinkMessageBytes = (1 << 20) + (64 << 10);  // 1 MiB and some slack.
constexpr size_t kMaxLinkBuffers = size_t{2} << 30;           // Of thousands of agents.
constexpr absl::Duration kMaxIdle = absl::Minutes(10);
constexpr absl::Duration kComeBackAfter = absl::Milliseconds(200);

std::string Holder() {
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  return std::string(host) + ":" + std::to_string(getpid());
}

// Without the packages there is no group `appsup`, and nobody asked for it.
absl::StatusOr<std::unique_ptr<LocalListener>> OpenSocket(const std::string& path,
                                                          const std::string& group) {
  absl::StatusOr<std::unique_ptr<LocalListener>> opened = LocalListener::Open(path, group);
  const bool no_use =
      absl::IsNotFound(opened.status()) || absl::IsPermissionDenied(opened.status());
  if (group != EntryConfig::kDefaultSocketGroup || !no_use) return opened;
  Log(LogLevel::kWarning, "socket-without-group", {{"path", path}, {"status", opened.status()}});
  return LocalListener::Open(path, "");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Entry>> Entry::Start(
    const EntryConfig& config, std::function<void(const absl::Status&)> fatal) {
  RETURN_IF_ERROR(CheckEntryConfig(config));
  std::unique_ptr<Entry> entry(new Entry(config, std::move(fatal)));
  RETURN_IF_ERROR(entry->PrepareState());
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenStore(config));
  RETURN_IF_ERROR(entry->StartLink());
  RETURN_IF_ERROR(entry->StartApi());
  RETURN_IF_ERROR(entry->StartGateway());
  RETURN_IF_ERROR(entry->StartCore(std::move(store)));
  return entry;
}

Entry::Entry(EntryConfig config, std::function<void(const absl::Status&)> fatal)
    : config_(std::move(config)), fatal_(std::move(fatal)) {
  config_.core.boot_id = BootId().value_or("");
  core_ = std::make_unique<CoreThread>(config_.core, clock_, random_, metrics_);
  streams_ = std::make_unique<AgentStreams>(*core_, refusals_, metrics_);
}

Entry::~Entry() { Shutdown(absl::ZeroDuration()); }

absl::Status Entry::PrepareState() {
  RETURN_IF_ERROR(EnsureDir(config_.state_dir, 0700));
  const absl::Time now = clock_.Now().wall;
  ASSIGN_OR_RETURN(Ca ca, Ca::OpenOrCreate(config_.state_dir, now));
  ca_ = std::make_unique<Ca>(std::move(ca));
  RETURN_IF_ERROR(RenewServerCertificate());
  ASSIGN_OR_RETURN(Tokens tokens,
                   Tokens::Open(config_.state_dir + "/admin.token", config_.tokens_file));
  tokens_ = std::make_unique<Tokens>(std::move(tokens));
  BlobStoreOptions blobs;
  blobs.dir = config_.state_dir + "/blobs";
  blobs.max_blob_bytes = config_.max_blob_bytes;
  blobs.max_total_bytes = config_.max_blob_total_bytes;
  ASSIGN_OR_RETURN(blobs_, BlobStore::Open(blobs, random_));
  ASSIGN_OR_RETURN(blob_thread_, LoopThread::Start());
  return absl::OkStatus();
}

absl::Status Entry::RenewServerCertificate() {
  return ca_->EnsureServerCertificate(config_.state_dir, ServerNames(), clock_.Now().wall);
}

absl::Status Entry::StartLink() {
  const ServerTlsPaths tls = ServerTlsFiles(config_.state_dir);
  rpc::ServerOptions options;
  options.listeners = {
      {config_.link_listen, rpc::FileServerCredentials(tls.key, tls.certificate, tls.ca, true)}};
  options.max_receive_bytes = kMaxLinkMessageBytes;
  options.max_buffered_bytes = kMaxLinkBuffers;
  options.max_idle = kMaxIdle;
  options.observer = CountCalls(metrics_);
  const CoreDoor door{*core_, calls_, random_};
  const CheckNode check = [this](const NodeIdentity& node, auto checked) {
    core_->Inspect([this, node, checked](const EntryCore* core) {
      checked(core == nullptr ? core_->NotLeading()
                              : CheckIdentity(core->catalog(), node.node, node.uid));
    });
  };
  auto serve = [this, door, check](const std::shared_ptr<rpc::ServerCall>& call) {
    const std::string& method = call->method().name();
    if (method == "Connect") return streams_->Accept(call);
    if (method == "FetchBlob") {
      return ServeFetchBlob(*blobs_, blob_thread_->loop(), check, call);
    }
    return ServeEnroll(door, *ca_, clock_, call);
  };
  const auto* file = appsupervisor::v1::ConnectRequest::descriptor()->file();
  ASSIGN_OR_RETURN(link_, rpc::Server::Start(options, {{file->service(0), serve}}));
  return absl::OkStatus();
}

absl::Status Entry::StartApi() {
  rpc::ServerOptions options;
  options.reflection_and_health = true;
  options.max_idle = kMaxIdle;
  options.observer = CountCalls(metrics_);
  if (!config_.api_listen.empty()) {
    const ServerTlsPaths tls = ServerTlsFiles(config_.state_dir);
    auto credentials = config_.api_tls
                           ? rpc::FileServerCredentials(tls.key, tls.certificate, tls.ca, false)
                           : grpc::InsecureServerCredentials();
    options.listeners = {{config_.api_listen, credentials}};
  }
  ASSIGN_OR_RETURN(local_, OpenSocket(config_.api_socket, config_.api_socket_group));
  callers_ = std::make_unique<Callers>(
      *tokens_, refusals_, [this](const std::string& peer) { return local_->UserOfPeer(peer); });
  const CoreDoor door{*core_, calls_, random_};
  api_service_ = std::make_unique<ApiService>(door, *callers_, *blobs_, blob_thread_->loop());
  api_service_->SetComplete(
      kCreateEnrollmentToken,
      CompleteEnrollmentToken(*ca_, {AdvertisedAddress(config_, link_port())}));
  ASSIGN_OR_RETURN(api_, rpc::Server::Start(options, api_service_->Services()));
  return absl::OkStatus();
}

absl::Status Entry::StartGateway() {
  if (config_.http_listen.empty()) return absl::OkStatus();
  auto collect = [this](absl::AnyInvocable<void()> done) {
    core_->Inspect([this, done = std::make_shared<absl::AnyInvocable<void()>>(std::move(done))](
                       const EntryCore* core) {
      if (core != nullptr) UpdateCatalogMetrics(core->catalog(), metrics_);
      (*done)();
    });
  };
  ASSIGN_OR_RETURN(gateway_, Gateway::Start(config_.http_listen, metrics_,
                                            LookUpThroughCore(CoreDoor{*core_, calls_, random_}),
                                            std::move(collect)));
  return absl::OkStatus();
}

absl::Status Entry::StartCore(std::unique_ptr<Store> store) {
  CoreThread::Shell shell;
  shell.reply = [this](const Reply& reply) { calls_.Perform(reply); };
  shell.stream_message = [this](const StreamMessage& message) { calls_.Perform(message); };
  shell.stream_end = [this](const StreamEnd& end) { calls_.Perform(end); };
  shell.send_to_agent = [this](const SendToAgent& send) { streams_->Perform(send); };
  shell.close_agent = [this](const CloseAgent& close) { streams_->Perform(close); };
  shell.leading = [this] { api_->SetServing(true); };
  shell.gone = [this](const absl::Status& why) {
    api_->SetServing(false);
    calls_.FailAll(why);
    streams_->CloseAll(std::string(why.message()), kComeBackAfter);
  };
  shell.fatal = fatal_;
  RETURN_IF_ERROR(core_->Start(std::move(store), Holder(), std::move(shell)));
  local_->Serve([this](int fd) { api_->AddConnection(fd); });
  return absl::OkStatus();
}

void Entry::Shutdown(absl::Duration grace) {
  if (std::exchange(shut_down_, true)) return;
  const absl::Status why = MakeError(absl::StatusCode::kUnavailable, "SHUTTING_DOWN",
                                     "the entry is shutting down; try again");
  if (api_ != nullptr) api_->SetServing(false);
  gateway_.reset();
  streams_->CloseAll(std::string(why.message()), kComeBackAfter);
  if (local_ != nullptr) local_->Stop();
  core_->Stop();
  calls_.FailAll(why);
  if (api_ != nullptr) api_->Shutdown(grace);
  if (link_ != nullptr) link_->Shutdown(grace);
  if (blob_thread_ != nullptr) blob_thread_->Join();
}

}  // namespace appsup::entry
