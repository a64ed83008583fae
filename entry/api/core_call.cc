#include "entry/api/core_call.h"

#include "common/status.h"
#include "entry/api/unknown_fields.h"

namespace appsup::entry {
namespace {

constexpr size_t kEntropyWords = 4;

std::string Entropy(Random& random) {
  std::string bytes;
  for (size_t i = 0; i < kEntropyWords; ++i) {
    const uint64_t word = random.Next();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return bytes;
}

}  // namespace

CallId PostToCore(const CoreDoor& door, const std::string& method,
                  std::shared_ptr<const google::protobuf::Message> request,
                  const Principal& principal, std::shared_ptr<PendingCall> call) {
  ApiCall event;
  event.call = door.calls.Add(std::move(call));
  event.method = method;
  event.request = std::move(request);
  event.principal = principal;
  event.entropy = Entropy(door.random);
  const CallId id = event.call;
  door.core.Post(std::move(event));
  return id;
}

void CoreCall::OnMessage(std::unique_ptr<google::protobuf::Message> message) {
  const absl::Status allowed = callers_.Allow(principal_, *call_, *message);
  if (!allowed.ok()) return call_->Finish(allowed);
  const absl::Status known = CheckFieldsKnown(*message);
  if (!known.ok()) return call_->Finish(known);
  id_ = PostToCore(door_, rpc::MethodName(call_->method()), std::move(message), principal_,
                   shared_from_this());
}

void CoreCall::OnReadsDone() {
  if (id_ != 0) return;
  call_->Finish(MakeError(absl::StatusCode::kInvalidArgument, "REQUEST_MISSING",
                          "the call ended without a request"));
}

void CoreCall::OnWritten() { door_.core.Post(StreamWritable{id_}); }

void CoreCall::OnDone() {
  if (id_ != 0 && door_.calls.Remove(id_)) door_.core.Post(CallCancelled{id_});
}

void CoreCall::OnReply(const absl::StatusOr<MessagePtr>& response) {
  if (!response.ok()) return call_->Finish(response.status());
  if (!complete_) return call_->FinishWith(**response);
  absl::StatusOr<MessagePtr> completed = complete_(*response);
  if (!completed.ok()) return call_->Finish(completed.status());
  call_->FinishWith(**completed);
}

void CoreCall::OnStreamMessage(const google::protobuf::Message& message) { call_->Write(message); }

void CoreCall::OnStreamEnd(const absl::Status& status) { call_->Finish(status); }

}  // namespace appsup::entry
