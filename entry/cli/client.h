#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "appsupervisor/v1/app_service.grpc.pb.h"
#include "appsupervisor/v1/artifact_service.grpc.pb.h"
#include "appsupervisor/v1/environment_service.grpc.pb.h"
#include "appsupervisor/v1/event_service.grpc.pb.h"
#include "appsupervisor/v1/node_service.grpc.pb.h"
#include "appsupervisor/v1/operation_service.grpc.pb.h"
#include "appsupervisor/v1/project_service.grpc.pb.h"
#include "common/rpc/grpc_status.h"
#include "entry/cli/settings.h"

namespace appsup::cli {

namespace v1 = ::appsupervisor::v1;

using AppStub = v1::AppService::Stub;
using ArtifactStub = v1::ArtifactService::Stub;
using EnvironmentStub = v1::EnvironmentService::Stub;
using EventStub = v1::EventService::Stub;
using NodeStub = v1::NodeService::Stub;
using OperationStub = v1::OperationService::Stub;
using ProjectStub = v1::ProjectService::Stub;

// The public API of one entry, called synchronously. One thread.
class Client {
 public:
  // Connects nothing yet. INVALID_ARGUMENT if the server is beyond this machine and no CA is given:
  // a token would travel in the clear.
  static absl::StatusOr<std::unique_ptr<Client>> Open(const Settings& settings,
                                                      const Surroundings& surroundings);

  // One unary call, of at most `timeout`: Call(&AppStub::GetApp, request). UNAVAILABLE says which
  // server does not answer.
  template <class Stub, class Request, class Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request, absl::Duration timeout = kCallTimeout) {
    const std::unique_ptr<grpc::ClientContext> context = NewContext(timeout);
    Response response;
    const grpc::Status status = (stub<Stub>().*method)(context.get(), request, &response);
    if (!status.ok()) return StatusOf(status);
    return response;
  }

  // All pages of a list in one answer.
  template <class Stub, class Request, class Response>
  absl::StatusOr<Response> ListAll(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                                   Request request) {
    Response all;
    request.set_page_size(kPageSize);
    do {
      absl::StatusOr<Response> page = Call(method, request);
      if (!page.ok()) return page;
      request.set_page_token(page->next_page_token());
      page->clear_next_page_token();
      all.MergeFrom(*page);
    } while (!request.page_token().empty());
    return all;
  }

  template <class Stub>
  Stub& stub() {
    return *std::get<std::unique_ptr<Stub>>(stubs_);
  }

  // For streams: with the token, and a deadline unless it is infinite.
  std::unique_ptr<grpc::ClientContext> NewContext(absl::Duration timeout) const;

  absl::Status StatusOf(const grpc::Status& status) const;

  // Blocks until there is a connection or `timeout` has passed.
  bool WaitForConnection(absl::Duration timeout);

  static constexpr absl::Duration kCallTimeout = absl::Seconds(30);
  static constexpr int kPageSize = 500;

 private:
  Client(std::string server, Secret token, std::shared_ptr<grpc::Channel> channel);

  const std::string server_;
  const Secret token_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::tuple<std::unique_ptr<AppStub>, std::unique_ptr<ArtifactStub>,
                   std::unique_ptr<EnvironmentStub>, std::unique_ptr<EventStub>,
                   std::unique_ptr<NodeStub>, std::unique_ptr<OperationStub>,
                   std::unique_ptr<ProjectStub>>
      stubs_;
};

}  // namespace appsup::cli
