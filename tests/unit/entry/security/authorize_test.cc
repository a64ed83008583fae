#include "entry/security/authorize.h"

#include <catch2/catch.hpp>
#include <set>

#include "appsupervisor/v1/app_service.pb.h"
#include "appsupervisor/v1/artifact_service.pb.h"
#include "appsupervisor/v1/environment_service.pb.h"
#include "appsupervisor/v1/event_service.pb.h"
#include "appsupervisor/v1/node_service.pb.h"
#include "appsupervisor/v1/operation_service.pb.h"
#include "appsupervisor/v1/project_service.pb.h"
#include "common/status.h"

namespace appsup::entry {
namespace {

namespace v1 = ::appsupervisor::v1;

Principal Somebody(Role role, std::string project = "") {
  Principal principal;
  principal.name = "token:somebody";
  principal.role = role;
  principal.project = std::move(project);
  return principal;
}

std::string App(const std::string& method) { return "appsupervisor.v1.AppService/" + method; }

TEST_CASE(
    "authorize: every method of the public API has exactly one row, and no row is left over") {
  std::multiset<std::string> methods, rows;
  for (const auto* file :
       {v1::CreateAppRequest::descriptor()->file(), v1::UploadBlobRequest::descriptor()->file(),
        v1::GetEnvironmentRequest::descriptor()->file(),
        v1::WatchEventsRequest::descriptor()->file(), v1::GetNodeRequest::descriptor()->file(),
        v1::GetOperationRequest::descriptor()->file(),
        v1::GetProjectRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.insert(file->service(s)->full_name() + "/" + file->service(s)->method(m)->name());
      }
    }
  }
  for (const MethodRule& rule : MethodRules()) rows.insert(rule.method);
  CHECK(methods == rows);
}

TEST_CASE("authorize: a role may do what the lower ones may, and no more") {
  v1::GetAppRequest get;
  v1::StopAppRequest stop;
  v1::DrainNodeRequest drain;
  v1::CreateEnrollmentTokenRequest token;
  const std::string nodes = "appsupervisor.v1.NodeService/";
  const Role roles[] = {Role::kViewer, Role::kDeployer, Role::kOperator, Role::kAdmin};
  for (int i = 0; i < 4; ++i) {
    const Principal who = Somebody(roles[i]);
    CHECK(Authorize(who, App("GetApp"), get).ok());
    CHECK(Authorize(who, App("StopApp"), stop).ok() == (i >= 1));
    CHECK(Authorize(who, nodes + "DrainNode", drain).ok() == (i >= 2));
    CHECK(Authorize(who, nodes + "CreateEnrollmentToken", token).ok() == (i >= 3));
  }
}

TEST_CASE("authorize: a refusal names the role that is needed and carries its reason") {
  const absl::Status status =
      Authorize(Somebody(Role::kViewer), App("StopApp"), v1::StopAppRequest());
  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(ErrorReason(status) == "PERMISSION_DENIED");
  CHECK(std::string(status.message()).find("deployer") != std::string::npos);
}

TEST_CASE("authorize: a method without a row is refused to everybody") {
  CHECK_FALSE(Authorize(Somebody(Role::kAdmin), App("Explode"), v1::GetAppRequest()).ok());
  CHECK_FALSE(
      Authorize(Somebody(Role::kAdmin), "appsupervisor.v1.LinkService/Connect", v1::GetAppRequest())
          .ok());
}

TEST_CASE("authorize: who is limited to a project stays within it") {
  const Principal shop = Somebody(Role::kAdmin, "shop");
  auto get = [&](const std::string& name) {
    v1::GetAppRequest request;
    request.set_name(name);
    return Authorize(shop, App("GetApp"), request).ok();
  };
  CHECK(get("projects/shop/apps/web"));
  CHECK_FALSE(get("projects/shop2/apps/web"));
  CHECK_FALSE(get("projects/sho/apps/web"));
  CHECK_FALSE(get(""));

  v1::ListAppsRequest list;
  list.set_parent("projects/-");
  CHECK_FALSE(Authorize(shop, App("ListApps"), list).ok());
  list.set_parent("projects/shop");
  CHECK(Authorize(shop, App("ListApps"), list).ok());

  v1::UpdateAppRequest update;
  update.mutable_app()->set_name("projects/other/apps/web");
  CHECK_FALSE(Authorize(shop, App("UpdateApp"), update).ok());
  update.mutable_app()->set_name("projects/shop/apps/web");
  CHECK(Authorize(shop, App("UpdateApp"), update).ok());

  CHECK_FALSE(
      Authorize(shop, "appsupervisor.v1.NodeService/ListNodes", v1::ListNodesRequest()).ok());
  CHECK_FALSE(
      Authorize(shop, "appsupervisor.v1.EventService/WatchEvents", v1::WatchEventsRequest()).ok());
  CHECK(
      Authorize(shop, "appsupervisor.v1.ArtifactService/UploadBlob", v1::UploadBlobRequest()).ok());
}

TEST_CASE("authorize: the resource is the parent of what is made, the name of what is there") {
  v1::CreateAppRequest create;
  create.set_parent("projects/shop");
  create.mutable_app()->set_name("projects/other/apps/web");
  CHECK(ResourceOf(create) == "projects/shop");
  v1::UpdateNodeRequest update;
  update.mutable_node()->set_name("nodes/n1");
  CHECK(ResourceOf(update) == "nodes/n1");
  CHECK(ResourceOf(v1::CreateEnrollmentTokenRequest()).empty());
}

}  // namespace
}  // namespace appsup::entry
