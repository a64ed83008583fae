// What an action of an operator asks for.
#include <utility>

#include "absl/strings/str_cat.h"
#include "appsupervisor/v1/environment_service.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "appsupervisor/v1/operation_service.pb.h"
#include "tests/simulation/app_maker.h"
#include "tests/simulation/operators.h"

namespace appsup::simulation {
namespace {

constexpr int kWithRequestId = 75;  // Percent of calls.

template <class Request>
constexpr bool IsOfNode = std::is_same_v<Request, api::DrainNodeRequest> ||
                          std::is_same_v<Request, api::ResumeNodeRequest> ||
                          std::is_same_v<Request, api::AcceptCatalogRequest>;

api::AppSpec SpecToCreate(const Action& action, Random& random) {
  switch (action.kind) {
    case ActionKind::kCreateFenced:
    case ActionKind::kCreateLoose:
      return MakeDurableSpec(random, action.app, action.kind == ActionKind::kCreateFenced);
    case ActionKind::kCreateSetup:
      return MakeSetupSpec(random, action.app);
    default:
      return MakeSpec(random, action.app);
  }
}

void Change(const Action& action, Random& random, api::AppSpec& spec) {
  if (action.kind == ActionKind::kFence) return SetFenced(spec);
  if (action.kind == ActionKind::kChangeSetup) return SetLongSetup(random, spec);
  ChangeSpec(random, action.app, spec);
}

}  // namespace

template <class Request>
std::shared_ptr<Request> Operators::Named(const Action& action, Random& random) const {
  auto request = std::make_shared<Request>();
  request->set_name(IsOfNode<Request> ? absl::StrCat("nodes/n", action.node + 1)
                                      : AppName(action.app));
  if (Chance(random, kWithRequestId)) request->set_request_id(RequestId(random));
  return request;
}

void Operators::Do(const Action& action) {
  SeededRandom random(action.value);
  const std::string service = "AppService/";
  switch (action.kind) {
    case ActionKind::kCreate:
    case ActionKind::kCreateFenced:
    case ActionKind::kCreateLoose:
    case ActionKind::kCreateSetup:
      return Create(action, random);
    case ActionKind::kUpdate:
    case ActionKind::kUpdateBadly:
    case ActionKind::kFence:
    case ActionKind::kChangeSetup:
      return Update(action, random);
    case ActionKind::kScale: {
      auto request = Named<api::ScaleAppRequest>(action, random);
      request->set_replicas(static_cast<int>(Between(random, int64_t{0}, int64_t{4})));
      return Ask(service + "ScaleApp", request, nullptr);
    }
    case ActionKind::kStop:
      return Ask(service + "StopApp", Named<api::StopAppRequest>(action, random), nullptr);
    case ActionKind::kStart:
      return Ask(service + "StartApp", Named<api::StartAppRequest>(action, random), nullptr);
    case ActionKind::kRestart:
      return Ask(service + "RestartApp", Named<api::RestartAppRequest>(action, random), nullptr);
    case ActionKind::kDelete:
    case ActionKind::kPurge: {
      auto request = Named<api::DeleteAppRequest>(action, random);
      request->set_purge(action.kind == ActionKind::kPurge);
      return Ask(service + "DeleteApp", request, nullptr);
    }
    case ActionKind::kUndelete:
      return Ask(service + "UndeleteApp", Named<api::UndeleteAppRequest>(action, random), nullptr);
    case ActionKind::kRollback:
      return Ask(service + "RollbackApp", Named<api::RollbackAppRequest>(action, random), nullptr);
    case ActionKind::kRetrySetup:
      return Ask(service + "RetrySetup", Named<api::RetrySetupRequest>(action, random), nullptr);
    case ActionKind::kAcceptSetup:
      return Ask(service + "AcceptSetup", Named<api::AcceptSetupRequest>(action, random), nullptr);
    case ActionKind::kCancel:
      return Cancel(action, random);
    case ActionKind::kDrain:
      return Ask("NodeService/DrainNode", Named<api::DrainNodeRequest>(action, random), nullptr);
    case ActionKind::kResume:
      return Ask("NodeService/ResumeNode", Named<api::ResumeNodeRequest>(action, random), nullptr);
    case ActionKind::kAcceptCatalog: {
      auto request = Named<api::AcceptCatalogRequest>(action, random);
      if (Chance(random, 40)) request->set_name("nodes/-");
      return Ask("NodeService/AcceptCatalog", request, nullptr);
    }
    case ActionKind::kReleaseBrake: {
      auto request = Named<api::ReleaseBrakeRequest>(action, random);
      request->set_name("environments/eu");
      return Ask("EnvironmentService/ReleaseBrake", request, nullptr);
    }
    case ActionKind::kRead: {
      auto request = std::make_shared<api::GetAppRequest>();
      request->set_name(AppName(action.app));
      Ask(service + "GetApp", request, nullptr);
      auto list = std::make_shared<api::ListAppsRequest>();
      list->set_parent("projects/default");
      return Ask(service + "ListApps", list, nullptr);
    }
    default:
      return;
  }
}

void Operators::Create(const Action& action, Random& random) {
  auto request = std::make_shared<api::CreateAppRequest>();
  request->set_parent("projects/default");
  request->set_app_id(absl::StrCat("a", action.app + 1));
  *request->mutable_app()->mutable_spec() = SpecToCreate(action, random);
  if (Chance(random, kWithRequestId)) request->set_request_id(RequestId(random));
  Ask("AppService/CreateApp", request, nullptr);
}

// On what the operator knows, which may be older than what is.
void Operators::Update(const Action& action, Random& random) {
  const bool bad = action.kind == ActionKind::kUpdateBadly;
  auto request = std::make_shared<api::UpdateAppRequest>();
  api::App& app = *request->mutable_app();
  app.set_name(AppName(action.app));
  const auto known = disk_.durable.apps.find(app.name());
  if (bad) {
    *app.mutable_spec() = MakeBadSpec(random, action.app);
  } else if (known != disk_.durable.apps.end()) {
    *app.mutable_spec() = known->second.app().spec();
    Change(action, random, *app.mutable_spec());
    if (Chance(random, 30)) app.set_etag(known->second.app().etag());
  } else if (action.kind == ActionKind::kUpdate) {
    *app.mutable_spec() = MakeSpec(random, action.app);
    request->set_allow_missing(Chance(random, 50));
  } else {
    return;  // The app of a scene, which is gone, or never was.
  }
  if (Chance(random, kWithRequestId)) request->set_request_id(RequestId(random));
  request->mutable_update_mask()->add_paths("spec");
  Ask("AppService/UpdateApp", request, nullptr);
}

void Operators::Cancel(const Action& action, Random& random) {
  const auto known = disk_.durable.apps.find(AppName(action.app));
  if (known == disk_.durable.apps.end() || known->second.operation().empty()) return;
  auto request = std::make_shared<api::CancelOperationRequest>();
  request->set_name(known->second.operation());
  request->set_rollback(Chance(random, 50));
  Ask("OperationService/CancelOperation", request, nullptr);
}

}  // namespace appsup::simulation
