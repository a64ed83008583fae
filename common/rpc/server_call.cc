#include "common/rpc/server_call.h"

#include <chrono>
#include <utility>

#include "common/rpc/deadline.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/message_codec.h"
#include "grpcpp/security/auth_context.h"

namespace appsup::rpc {
namespace {

// A write that stands in the way of Finish for so long belongs to a peer that reads nothing.
constexpr absl::Duration kStuckWrite = absl::Seconds(10);

int64_t SteadyNanos() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

std::vector<std::string> Properties(const grpc::ServerContext& context, const char* name) {
  std::vector<std::string> values;
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) return values;
  for (const grpc::string_ref& value : auth->FindPropertyValues(name)) {
    values.emplace_back(value.data(), value.size());
  }
  return values;
}

}  // namespace

std::string MethodName(const google::protobuf::MethodDescriptor& method) {
  return method.service()->full_name() + "/" + method.name();
}

ServerCall::ServerCall(const google::protobuf::MethodDescriptor& method,
                       grpc::ServerCompletionQueue* queue, const CallObserver& observer,
                       std::function<void()> destroyed)
    : method_(method), queue_(queue), observer_(observer), destroyed_(std::move(destroyed)) {}

ServerCall::~ServerCall() { destroyed_(); }

std::optional<std::string> ServerCall::Metadata(const std::string& key) const {
  auto [begin, end] = context_.client_metadata().equal_range(key);
  if (begin == end || std::next(begin) != end) return std::nullopt;
  return std::string(begin->second.data(), begin->second.size());
}

absl::Duration ServerCall::time_left() const {
  const gpr_timespec deadline = context_.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
    return absl::InfiniteDuration();
  }
  // Of one clock: soon after the wall clock was set, absl::Now() is still what it was before.
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return absl::Seconds(left.tv_sec) + absl::Nanoseconds(left.tv_nsec);
}

std::vector<std::string> ServerCall::peer_uris() const { return Properties(context_, "peer_uri"); }

std::string ServerCall::peer_certificate_pem() const {
  std::vector<std::string> pem = Properties(context_, "x509_pem_cert");
  return pem.empty() ? std::string() : std::move(pem.front());
}

void ServerCall::Begin(const Handler& handler) {
  begin_nanos_ = SteadyNanos();
  sink_ = handler(shared_from_this());
}

void ServerCall::Read() {
  MutexLock lock(&mutex_);
  if (reading_ || finishing_ || done_) return;
  reading_ = true;
  stream_.Read(&read_buffer_, read_.Start(this));
}

void ServerCall::OnReadTag(bool ok) {
  {
    MutexLock lock(&mutex_);
    reading_ = false;
    if (done_ || finishing_) return;
  }
  if (sink_ == nullptr) return;
  if (!ok) return sink_->OnReadsDone();
  auto message = ParseMessage(*method_.input_type(), &read_buffer_);
  read_buffer_.Clear();
  if (!message.ok()) return Finish(message.status());
  sink_->OnMessage(std::move(*message));
}

void ServerCall::Write(const google::protobuf::Message& message) {
  const grpc::ByteBuffer bytes = SerializeMessage(message);
  MutexLock lock(&mutex_);
  if (writing_ || finishing_ || done_) return;
  writing_ = true;
  stream_.Write(bytes, write_.Start(this));
}

void ServerCall::OnWriteTag(bool ok) {
  {
    MutexLock lock(&mutex_);
    writing_ = false;
    if (stuck_alarm_ != nullptr) stuck_alarm_->Cancel();
    if (finishing_) return StartFinish();
    if (done_ || !ok) return;  // The done tag follows.
  }
  if (sink_ != nullptr) sink_->OnWritten();
}

bool ServerCall::AskToFinish(const absl::Status& status) {
  if (finishing_ || done_) return false;
  finishing_ = true;
  status_ = ToGrpcStatus(status);
  return true;
}

void ServerCall::Finish(const absl::Status& status) {
  MutexLock lock(&mutex_);
  if (!AskToFinish(status)) return;
  if (!writing_) return StartFinish();
  stuck_alarm_ = std::make_unique<grpc::Alarm>();
  stuck_alarm_->Set(queue_, DeadlineIn(kStuckWrite), stuck_.Start(this));
}

void ServerCall::FinishWith(const google::protobuf::Message& message) {
  const grpc::ByteBuffer bytes = SerializeMessage(message);
  MutexLock lock(&mutex_);
  if (writing_ || !AskToFinish(absl::OkStatus())) return;
  finished_ = true;
  stream_.WriteAndFinish(bytes, grpc::WriteOptions(), status_, finish_.Start(this));
}

void ServerCall::StartFinish() {
  if (finished_) return;
  finished_ = true;
  stream_.Finish(status_, finish_.Start(this));
}

void ServerCall::Cancel() {
  MutexLock lock(&mutex_);
  if (!done_) context_.TryCancel();
}

void ServerCall::OnStuckTag(bool expired) {
  if (expired) Cancel();
}

void ServerCall::OnDoneTag(bool) {
  grpc::StatusCode code = grpc::StatusCode::OK;
  {
    MutexLock lock(&mutex_);
    done_ = true;
    if (!finishing_) {
      finishing_ = true;
      status_ = grpc::Status(grpc::StatusCode::CANCELLED, "the caller went away");
    }
    if (!writing_) StartFinish();
    code = status_.error_code();
  }
  if (observer_) observer_(method_, code, absl::Nanoseconds(SteadyNanos() - begin_nanos_));
  if (std::shared_ptr<CallSink> sink = std::move(sink_); sink != nullptr) sink->OnDone();
}

}  // namespace appsup::rpc
