#include "agent/driver/process_driver.h"

#include <csignal>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/driver/keeper_messages.h"
#include "common/log.h"
#include "common/packet.h"

namespace appsup::agent {
namespace {

// The newest and the oldest version of the protocol that this agent speaks.
constexpr int32_t kProtocol = 1;
constexpr int32_t kOldestProtocol = 1;
// Of one SetFences.
constexpr int kMaxFences = 1000;

}  // namespace

ProcessDriver::ProcessDriver(EventLoop& loop, Clock& clock, std::string socket_path,
                             std::string version)
    : loop_(loop),
      version_(std::move(version)),
      link_(
          loop, clock, std::move(socket_path),
          {.on_open = [this] { OnOpen(); },
           .on_response = [this](keeper_pb::Response response) { OnResponse(std::move(response)); },
           .on_closed = [this](const absl::Status& why) { OnClosed(why); }}) {
  description_.name = "process";
}

void ProcessDriver::Open(DriverListener& listener) {
  listener_ = &listener;
  link_.Open();
}

void ProcessDriver::Start(StartRequest request) {
  keeper_pb::Request message;
  *message.mutable_spawn() = ToMessage(request);
  Ask(std::move(message));
}

void ProcessDriver::Stop(const ProcessId& id, int signal, absl::Duration grace) {
  keeper_pb::Request message;
  *message.mutable_stop()->mutable_id() = ToMessage(id);
  *message.mutable_stop()->mutable_settings() = ToMessage(signal, grace);
  Ask(std::move(message));
}

void ProcessDriver::Kill(const ProcessId& id) { Stop(id, SIGKILL, absl::ZeroDuration()); }

void ProcessDriver::AckExit(const ProcessId& id) {
  keeper_pb::Request message;
  *message.mutable_ack_exits()->add_ids() = ToMessage(id);
  Ask(std::move(message));
}

void ProcessDriver::SetFences(std::vector<FenceChange> changes) {
  for (FenceChange& change : changes) {
    std::optional<keeper_pb::Fence>& fence = fences_[std::move(change.id)];
    fence.reset();
    if (change.fence) fence = ToMessage(*change.fence);
  }
  if (state_ == State::kReady) SendFences();
}

void ProcessDriver::SendFences() {
  keeper_pb::Request message;
  for (auto& [id, fence] : std::exchange(fences_, {})) {
    keeper_pb::SetFencesRequest::Item& item = *message.mutable_set_fences()->add_items();
    *item.mutable_id() = ToMessage(id);
    if (fence) *item.mutable_fence() = *std::move(fence);
    if (message.set_fences().items_size() == kMaxFences) Ask(std::exchange(message, {}));
  }
  if (message.has_set_fences()) Ask(std::move(message));
}

// What was not answered is asked again, but only the newest of each process.
void ProcessDriver::TakeBackFences() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!it->second.request.has_set_fences()) {
      ++it;
      continue;
    }
    for (const auto& item : it->second.request.set_fences().items()) {
      std::optional<keeper_pb::Fence>& fence = fences_[FromMessage(item.id())];
      fence.reset();
      if (item.has_fence()) fence = item.fence();
    }
    it = waiting_.erase(it);
  }
}

void ProcessDriver::OnFencesSet(const keeper_pb::SetFencesRequest& request) {
  std::set<ProcessId> changed_again;
  for (const auto& [id, waiting] : waiting_) {
    for (const auto& item : waiting.request.set_fences().items()) {
      changed_again.insert(FromMessage(item.id()));
    }
  }
  std::vector<ProcessId> ids;
  for (const auto& item : request.items()) {
    ProcessId id = FromMessage(item.id());
    if (item.has_fence() && !changed_again.contains(id)) ids.push_back(std::move(id));
  }
  if (!ids.empty()) listener_->OnFencesSet(std::move(ids));
}

void ProcessDriver::RemoveFolders(uint64_t token, std::vector<std::string> paths) {
  keeper_pb::Request message;
  for (std::string& path : paths) message.mutable_remove_folders()->add_paths(std::move(path));
  Ask(std::move(message), token);
}

void ProcessDriver::SetLimits(const ProcessId& id, const ProcessLimits& limits) {
  keeper_pb::Request message;
  *message.mutable_set_limits()->mutable_id() = ToMessage(id);
  *message.mutable_set_limits()->mutable_limits() = ToMessage(limits);
  Ask(std::move(message));
}

void ProcessDriver::SampleUsage() {
  if (state_ != State::kReady || usage_id_ != 0) return;
  usage_.clear();
  fresh_marks_.clear();
  AskForUsage("");
}

void ProcessDriver::AskForUsage(const std::string& page_token) {
  keeper_pb::Request message;
  usage_id_ = next_id_++;
  message.set_id(usage_id_);
  message.mutable_sample_usage()->set_page_token(page_token);
  link_.Send(message.SerializeAsString());
}

bool ProcessDriver::Overtakes(const keeper_pb::Request& request) {
  std::string wanted = request.SerializeAsString();
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (it->second.request.kind_case() != request.kind_case()) continue;
    if (request.has_set_limits()) {
      if (FromMessage(it->second.request.set_limits().id()) !=
          FromMessage(request.set_limits().id())) {
        continue;
      }
      waiting_.erase(it);
      return true;
    }
    keeper_pb::Request earlier = it->second.request;
    earlier.clear_id();
    if (earlier.SerializeAsString() == wanted) return false;
  }
  return true;
}

void ProcessDriver::Ask(keeper_pb::Request request, uint64_t token) {
  bool repeatable = request.has_stop() || request.has_ack_exits() || request.has_set_limits();
  if (state_ != State::kReady && repeatable && !Overtakes(request)) return;
  uint64_t id = next_id_++;
  request.set_id(id);
  if (request.ByteSizeLong() > kBodyLimit) {
    keeper_pb::Response refusal;
    refusal.mutable_error()->set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
    refusal.mutable_error()->set_message(absl::StrCat("command and environment have ",
                                                      request.ByteSizeLong(), " bytes; at most ",
                                                      kBodyLimit, " can be passed on"));
    loop_.Post([this, waiting = Waiting{std::move(request), token}, refusal] {
      Answer(waiting, refusal);
    });
    return;
  }
  if (state_ == State::kReady) link_.Send(request.SerializeAsString());
  waiting_[id] = {std::move(request), token};
}

void ProcessDriver::AskControl(keeper_pb::Request request) {
  control_id_ = next_id_++;
  request.set_id(control_id_);
  link_.Send(request.SerializeAsString());
}

void ProcessDriver::OnOpen() {
  state_ = State::kGreeting;
  inventory_ = {};
  keeper_pb::Request hello;
  hello.mutable_hello()->set_protocol(kProtocol);
  hello.mutable_hello()->set_version(version_);
  AskControl(std::move(hello));
}

void ProcessDriver::OnClosed(const absl::Status& why) {
  State before = std::exchange(state_, State::kClosed);
  usage_id_ = 0;
  TakeBackFences();
  Log(LogLevel::kWarning, "keeper-lost", {{"error", why}});
  // Greeting and listing have told nobody that there is a connection, but for the first of all.
  bool told = before == State::kReady || description_.version.empty();
  if (std::exchange(refused_, false) || told) listener_->OnDisconnected(why);
}

void ProcessDriver::Refuse(const absl::Status& why) {
  refused_ = true;
  link_.Reset(why);
}

void ProcessDriver::OnResponse(keeper_pb::Response response) {
  if (response.id() == 0) {
    if (response.has_exited()) OnExited(response.exited());
    return;
  }
  if (response.id() == control_id_) {
    return state_ == State::kGreeting ? OnHello(response) : OnList(response);
  }
  if (response.id() == usage_id_) return OnUsage(response);
  auto it = waiting_.find(response.id());
  if (it == waiting_.end()) return;
  Waiting waiting = std::move(it->second);
  waiting_.erase(it);
  Answer(waiting, response);
}

void ProcessDriver::OnHello(const keeper_pb::Response& response) {
  if (!response.has_hello()) return Refuse(FromMessage(response.error()));
  const keeper_pb::HelloResponse& hello = response.hello();
  if (hello.protocol() < kOldestProtocol || hello.protocol() > kProtocol) {
    return Refuse(absl::FailedPreconditionError(absl::StrCat(
        "keeper ", hello.version(), " speaks version ", hello.protocol(),
        " of the protocol between agent and keeper, agent ", version_, " speaks ", kOldestProtocol,
        " to ", kProtocol, ": bring both to one release, the keeper first (docs/operations.md)")));
  }
  description_.enforces.assign(hello.enforces().begin(), hello.enforces().end());
  description_.message = hello.message();
  description_.version = hello.version();
  state_ = State::kListing;
  keeper_pb::Request list;
  list.mutable_list();
  AskControl(std::move(list));
}

void ProcessDriver::OnList(const keeper_pb::Response& response) {
  if (!response.has_list()) return link_.Reset(FromMessage(response.error()));
  for (const keeper_pb::RunningProcess& running : response.list().running()) {
    inventory_.running.push_back(FromMessage(running));
  }
  for (const keeper_pb::ExitedProcess& exited : response.list().exited()) OnExited(exited);
  if (!response.list().next_page_token().empty()) {
    keeper_pb::Request next;
    next.mutable_list()->set_page_token(response.list().next_page_token());
    return AskControl(std::move(next));
  }
  control_id_ = 0;
  state_ = State::kReady;
  link_.Proven();
  Log(LogLevel::kInfo, "keeper-connected",
      {{"version", description_.version}, {"running", inventory_.running.size()}});
  for (const auto& [id, waiting] : waiting_) link_.Send(waiting.request.SerializeAsString());
  SendFences();
  listener_->OnConnected(description_, std::exchange(inventory_, {}));
}

void ProcessDriver::OnExited(const keeper_pb::ExitedProcess& message) {
  ExitedProcess exited = FromMessage(message);
  if (state_ == State::kReady) return listener_->OnExited(exited.id, exited.exit);
  // An exit may come as an event and on the page, and after its process was listed as running.
  std::erase_if(inventory_.running, [&](const RunningProcess& p) { return p.id == exited.id; });
  std::erase_if(inventory_.exits, [&](const ExitedProcess& p) { return p.id == exited.id; });
  inventory_.exits.push_back(std::move(exited));
}

void ProcessDriver::OnUsage(const keeper_pb::Response& response) {
  for (const auto& sample : response.sample_usage().samples()) AddSample(sample);
  if (!response.sample_usage().next_page_token().empty()) {
    return AskForUsage(response.sample_usage().next_page_token());
  }
  usage_id_ = 0;
  marks_ = std::exchange(fresh_marks_, {});
  listener_->OnUsage(std::exchange(usage_, {}));
}

void ProcessDriver::AddSample(const keeper_pb::SampleUsageResponse::Sample& sample) {
  ProcessUsage usage = {
      .id = FromMessage(sample.id()), .memory_bytes = sample.memory_bytes(), .pids = sample.pids()};
  auto before = marks_.find(usage.id);
  if (before != marks_.end() && sample.boot_nanos() > before->second.boot_nanos) {
    int64_t cpu_micros = sample.cpu_micros() - before->second.cpu_micros;
    int64_t elapsed_micros = (sample.boot_nanos() - before->second.boot_nanos) / 1000;
    if (cpu_micros > 0 && elapsed_micros > 0) usage.cpu_millis = cpu_micros * 1000 / elapsed_micros;
  }
  fresh_marks_[usage.id] = {sample.cpu_micros(), sample.boot_nanos()};
  usage_.push_back(std::move(usage));
}

void ProcessDriver::Answer(const Waiting& waiting, const keeper_pb::Response& response) {
  absl::Status status = response.has_error() ? FromMessage(response.error()) : absl::OkStatus();
  const keeper_pb::Request& request = waiting.request;
  switch (request.kind_case()) {
    case keeper_pb::Request::kSpawn: {
      ProcessId id = FromMessage(request.spawn().id());
      if (!status.ok()) return listener_->OnStarted(id, status);
      return listener_->OnStarted(id, FromMessage(response.spawn()));
    }
    case keeper_pb::Request::kSetLimits:
      return listener_->OnLimitsSet(FromMessage(request.set_limits().id()), status);
    case keeper_pb::Request::kRemoveFolders:
      return listener_->OnFoldersRemoved(waiting.token, status);
    case keeper_pb::Request::kSetFences:
      if (status.ok()) return OnFencesSet(request.set_fences());
      [[fallthrough]];
    case keeper_pb::Request::kStop:
    case keeper_pb::Request::kAckExits:
      if (!status.ok()) Log(LogLevel::kError, "keeper-refused", {{"error", status}});
      return;
    case keeper_pb::Request::kHello:
    case keeper_pb::Request::kList:
    case keeper_pb::Request::kSampleUsage:
    case keeper_pb::Request::KIND_NOT_SET:
      return;
  }
}

}  // namespace appsup::agent
