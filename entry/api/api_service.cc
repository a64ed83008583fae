#include "entry/api/api_service.h"

#include "appsupervisor/v1/app_service.pb.h"
#include "appsupervisor/v1/artifact_service.pb.h"
#include "appsupervisor/v1/environment_service.pb.h"
#include "appsupervisor/v1/event_service.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "appsupervisor/v1/operation_service.pb.h"
#include "appsupervisor/v1/project_service.pb.h"
#include "common/status.h"
#include "entry/api/blob_calls.h"

namespace appsup::entry {
namespace {

namespace v1 = ::appsupervisor::v1;

constexpr char kArtifactService[] = "appsupervisor.v1.ArtifactService";

// WaitOperation takes an hour at most, and nothing else that is no stream takes longer.
constexpr absl::Duration kMaxDeadline = absl::Hours(2);

absl::Status CheckDeadline(const rpc::ServerCall& call) {
  const google::protobuf::MethodDescriptor& method = call.method();
  if (method.client_streaming() || method.server_streaming()) return absl::OkStatus();
  const absl::Duration left = call.time_left();
  if (left == absl::InfiniteDuration() || left <= kMaxDeadline) return absl::OkStatus();
  const std::string asked = absl::FormatDuration(absl::Floor(left, absl::Seconds(1)));
  const std::string most = absl::FormatDuration(kMaxDeadline);
  return MakeError(absl::StatusCode::kInvalidArgument, "DEADLINE_TOO_LONG",
                   "the call's deadline is " + asked + " away; at most " + most +
                       " is allowed, and none at all is fine",
                   {{"deadline", asked}, {"max", most}});
}

}  // namespace

rpc::Server::Services ApiService::Services() {
  rpc::Server::Services services;
  for (const google::protobuf::FileDescriptor* file :
       {v1::CreateAppRequest::descriptor()->file(), v1::UploadBlobRequest::descriptor()->file(),
        v1::GetEnvironmentRequest::descriptor()->file(),
        v1::WatchEventsRequest::descriptor()->file(), v1::GetNodeRequest::descriptor()->file(),
        v1::GetOperationRequest::descriptor()->file(),
        v1::GetProjectRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      services.emplace_back(file->service(i), [this](const std::shared_ptr<rpc::ServerCall>& call) {
        return Accept(call);
      });
    }
  }
  return services;
}

std::shared_ptr<rpc::CallSink> ApiService::Accept(const std::shared_ptr<rpc::ServerCall>& call) {
  absl::StatusOr<Principal> principal = callers_.PrincipalOf(*call);
  if (!principal.ok()) {
    call->Finish(principal.status());
    return nullptr;
  }
  if (const absl::Status status = CheckDeadline(*call); !status.ok()) {
    call->Finish(status);
    return nullptr;
  }
  std::shared_ptr<rpc::CallSink> sink = Serve(call, *principal);
  call->Read();
  return sink;
}

std::shared_ptr<rpc::CallSink> ApiService::Serve(const std::shared_ptr<rpc::ServerCall>& call,
                                                 const Principal& principal) {
  const google::protobuf::MethodDescriptor& method = call->method();
  if (method.service()->full_name() == kArtifactService) {
    return ServeBlobCall(blobs_, blob_loop_, callers_, call, principal);
  }
  auto complete = complete_.find(rpc::MethodName(method));
  return std::make_shared<CoreCall>(door_, callers_, call, principal,
                                    complete == complete_.end() ? nullptr : complete->second);
}

}  // namespace appsup::entry
