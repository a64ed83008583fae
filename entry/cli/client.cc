#include "entry/cli/client.h"

#include <utility>

#include "common/clock.h"
#include "common/file.h"
#include "common/rpc/credentials.h"
#include "common/server_name.h"
#include "common/status.h"
#include "entry/cli/exit_code.h"
#include "fmt/format.h"

namespace appsup::cli {
namespace {

constexpr int kMaxAnswerBytes = 64 << 20;  // A page of many large specs.

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const Settings& settings) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  if (settings.ca_file.empty()) {
    if (!IsLocalServer(settings.server)) {
      return UsageError(fmt::format(
          "{} is not on this machine, and calls beyond it need TLS: give --ca-file (or set "
          "APPSUP_CA_FILE) with the certificate of the entry's CA",
          settings.server));
    }
    return grpc::CreateCustomChannel(settings.server, grpc::InsecureChannelCredentials(),
                                     arguments);
  }
  absl::StatusOr<std::string> ca = ReadFile(settings.ca_file);
  if (!ca.ok()) return Annotate(ca.status(), "CA file");
  arguments.SetSslTargetNameOverride(kEntryServerName);
  return grpc::CreateCustomChannel(settings.server, rpc::PemChannelCredentials(*ca, "", ""),
                                   arguments);
}

std::chrono::system_clock::time_point DeadlineIn(absl::Duration timeout) {
  return absl::ToChronoTime(SystemClock().Now().wall + timeout);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Open(const Settings& settings,
                                                     const Surroundings& surroundings) {
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, OpenChannel(settings));
  ASSIGN_OR_RETURN(Secret token, FindToken(settings, surroundings));
  return std::unique_ptr<Client>(new Client(settings.server, std::move(token), std::move(channel)));
}

Client::Client(std::string server, Secret token, std::shared_ptr<grpc::Channel> channel)
    : server_(std::move(server)),
      token_(std::move(token)),
      channel_(std::move(channel)),
      stubs_(v1::AppService::NewStub(channel_), v1::ArtifactService::NewStub(channel_),
             v1::EnvironmentService::NewStub(channel_), v1::EventService::NewStub(channel_),
             v1::NodeService::NewStub(channel_), v1::OperationService::NewStub(channel_),
             v1::ProjectService::NewStub(channel_)) {}

std::unique_ptr<grpc::ClientContext> Client::NewContext(absl::Duration timeout) const {
  auto context = std::make_unique<grpc::ClientContext>();
  if (!token_.empty()) context->AddMetadata("authorization", "Bearer " + token_.Reveal());
  if (timeout != absl::InfiniteDuration()) context->set_deadline(DeadlineIn(timeout));
  return context;
}

absl::Status Client::StatusOf(const grpc::Status& status) const {
  const absl::Status converted = rpc::FromGrpcStatus(status);
  // Those that the entry itself answered carry its sentence and a reason.
  if (!ErrorReason(converted).empty()) return converted;
  if (absl::IsUnavailable(converted)) {
    return absl::UnavailableError(
        fmt::format("no answer from {}: {}. Is appsup-entry running there? --server or "
                    "APPSUP_SERVER says where it is",
                    server_, std::string(converted.message())));
  }
  if (absl::IsDeadlineExceeded(converted)) {
    return absl::DeadlineExceededError(fmt::format("{} did not answer in time", server_));
  }
  return converted;
}

bool Client::WaitForConnection(absl::Duration timeout) {
  return channel_->WaitForConnected(DeadlineIn(timeout));
}

}  // namespace appsup::cli
