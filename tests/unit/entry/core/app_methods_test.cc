#include <catch2/catch.hpp>

#include "common/status.h"
#include "tests/support/core_harness.h"
#include "tests/support/core_requests.h"

namespace appsup::entry {
namespace {

TEST_CASE("apps: a created app is shown as it was written, with an open operation") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  auto operation = entry.Call<api::Operation>("AppService/CreateApp", NewApp("web"));
  REQUIRE(operation.ok());
  CHECK_FALSE(operation->done());
  CHECK(operation->kind() == "CREATE");
  CHECK(operation->target() == "projects/default/apps/web");
  CHECK(operation->actor() == "token:admin");
  auto app = GetApp(entry, "web");
  REQUIRE(app.ok());
  CHECK(app->generation() == 1);
  CHECK(app->etag().size() > 2);
  CHECK(app->uid().size() == 36);
  CHECK(app->spec().runtime().process().command(0) == "/bin/sleep");
  CHECK(app->has_status());
}

TEST_CASE("apps: every fault of a new app is named at once") {
  CoreHarness entry;
  api::CreateAppRequest request = NewApp("Web_1");
  request.set_parent("projects/Nope");
  api::AppSpec& spec = *request.mutable_app()->mutable_spec();
  spec.set_replicas(1001);
  spec.mutable_runtime()->mutable_process()->clear_command();
  spec.add_ports()->set_name("http");
  spec.add_ports()->set_name("http");
  spec.mutable_checks()->mutable_readiness()->mutable_tcp()->set_port("admin");
  (*spec.mutable_env())["1X"] = "y";
  spec.mutable_stop()->set_signal("SIGNOPE");
  spec.mutable_artifact()->set_uri("ftp://x/y");
  spec.mutable_data()->set_kind(api::DATA_KIND_SHARED);
  spec.mutable_placement()->add_environments("mars");
  const auto reply = entry.Call<api::Operation>("AppService/CreateApp", request);
  CHECK(reply.status().code() == absl::StatusCode::kInvalidArgument);
  const std::vector<std::string> fields = FieldsOf(reply.status());
  for (const char* field :
       {"parent", "app_id", "app.spec.replicas", "app.spec.runtime.process.command",
        "app.spec.ports[1].name", "app.spec.checks.readiness.tcp.port", "app.spec.env",
        "app.spec.stop.signal", "app.spec.artifact.uri", "app.spec.data.path"}) {
    INFO(field);
    CHECK(std::count(fields.begin(), fields.end(), field) == 1);
  }
  CHECK(entry.catalog().apps.rows().empty());
}

TEST_CASE("apps: placement must name one of several environments, and only such as there are") {
  CoreHarness entry;
  CHECK(entry.Call<api::Operation>("AppService/CreateApp", NewApp("early")).ok());
  entry.AddEnvironment("eu");
  CHECK(entry.Call<api::Operation>("AppService/CreateApp", NewApp("only")).ok());
  entry.AddEnvironment("us");
  auto unclear = entry.Call<api::Operation>("AppService/CreateApp", NewApp("unclear"));
  CHECK(FieldsOf(unclear.status()) == std::vector<std::string>{"app.spec.placement.environments"});
  api::CreateAppRequest request = NewApp("clear");
  request.mutable_app()->mutable_spec()->mutable_placement()->add_environments("us");
  CHECK(entry.Call<api::Operation>("AppService/CreateApp", request).ok());
  request = NewApp("lost");
  request.mutable_app()->mutable_spec()->mutable_placement()->add_environments("mars");
  auto lost = entry.Call<api::Operation>("AppService/CreateApp", request);
  CHECK(FieldsOf(lost.status()) == std::vector<std::string>{"app.spec.placement.environments[0]"});
}

TEST_CASE("apps: an id can be taken once, and the project must exist") {
  CoreHarness entry;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
  auto again = entry.Call<api::Operation>("AppService/CreateApp", NewApp("web"));
  CHECK(absl::IsAlreadyExists(again.status()));
  CHECK(ErrorReason(again.status()) == "ALREADY_EXISTS");
  api::CreateAppRequest request = NewApp("web");
  request.set_parent("projects/shop");
  auto missing = entry.Call<api::Operation>("AppService/CreateApp", request);
  CHECK(absl::IsNotFound(missing.status()));
  CHECK(ErrorReason(missing.status()) == "PROJECT_NOT_FOUND");
}

TEST_CASE("apps: validate_only checks and changes nothing") {
  CoreHarness entry;
  api::CreateAppRequest request = NewApp("web");
  request.set_validate_only(true);
  auto operation = entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(operation.ok());
  CHECK(operation->done());
  CHECK(operation->name().empty());
  CHECK(absl::IsNotFound(GetApp(entry, "web").status()));
  request.mutable_app()->mutable_spec()->clear_runtime();
  CHECK_FALSE(entry.Call<api::Operation>("AppService/CreateApp", request).ok());
}

TEST_CASE("apps: an update without a mask sets what it carries and keeps the rest") {
  CoreHarness entry;
  api::CreateAppRequest create = NewApp("web");
  (*create.mutable_app()->mutable_labels())["tier"] = "gold";
  (*create.mutable_app()->mutable_spec()->mutable_env())["A"] = "1";
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", create).ok());
  api::UpdateAppRequest update;
  update.mutable_app()->set_name("projects/default/apps/web");
  update.mutable_app()->mutable_spec()->set_replicas(3);
  auto operation = entry.Call<api::Operation>("AppService/UpdateApp", update);
  REQUIRE(operation.ok());
  auto app = GetApp(entry, "web");
  CHECK(app->spec().replicas() == 3);
  CHECK(app->spec().env().at("A") == "1");
  CHECK(app->labels().at("tier") == "gold");
  CHECK(app->generation() == 2);
  CHECK(entry.catalog().apps.Find(app->name())->last_revision() == 1);
}

TEST_CASE("apps: a mask sets and clears what it names, * replaces all") {
  CoreHarness entry;
  api::CreateAppRequest create = NewApp("web");
  create.mutable_app()->set_display_name("Web");
  (*create.mutable_app()->mutable_labels())["tier"] = "gold";
  (*create.mutable_app()->mutable_spec()->mutable_env())["A"] = "1";
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", create).ok());
  api::UpdateAppRequest update;
  update.mutable_app()->set_name("projects/default/apps/web");
  update.mutable_app()->set_display_name("ignored");
  update.mutable_update_mask()->add_paths("spec.env");
  update.mutable_update_mask()->add_paths("uid");
  REQUIRE(entry.Call<api::Operation>("AppService/UpdateApp", update).ok());
  auto app = GetApp(entry, "web");
  CHECK(app->spec().env().empty());
  CHECK(app->display_name() == "Web");
  CHECK(entry.catalog().apps.Find(app->name())->last_revision() == 2);

  update.mutable_update_mask()->clear_paths();
  update.mutable_update_mask()->add_paths("spec.nonsense");
  auto wrong = entry.Call<api::Operation>("AppService/UpdateApp", update);
  CHECK(FieldsOf(wrong.status()) == std::vector<std::string>{"update_mask"});

  update.mutable_update_mask()->clear_paths();
  update.mutable_update_mask()->add_paths("*");
  *update.mutable_app()->mutable_spec() = create.app().spec();
  REQUIRE(entry.Call<api::Operation>("AppService/UpdateApp", update).ok());
  app = GetApp(entry, "web");
  CHECK(app->display_name() == "ignored");
  CHECK(app->labels().empty());
  CHECK(app->spec().env().at("A") == "1");
}

TEST_CASE("apps: an update with an old etag is refused, and status does not change the etag") {
  CoreHarness entry;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
  const std::string first = GetApp(entry, "web")->etag();
  api::UpdateAppRequest update;
  update.mutable_app()->set_name("projects/default/apps/web");
  update.mutable_app()->set_etag(first);
  update.mutable_app()->set_display_name("one");
  REQUIRE(entry.Call<api::Operation>("AppService/UpdateApp", update).ok());
  const std::string second = GetApp(entry, "web")->etag();
  CHECK(second != first);
  update.mutable_app()->set_display_name("two");
  auto stale = entry.Call<api::Operation>("AppService/UpdateApp", update);
  CHECK(absl::IsAborted(stale.status()));
  CHECK(ErrorReason(stale.status()) == "ETAG_MISMATCH");
  CHECK(GetApp(entry, "web")->display_name() == "one");
  entry.AddEnvironment("eu");  // The status changes.
  CHECK(GetApp(entry, "web")->etag() == second);
}

TEST_CASE("apps: an update that changes nothing is a finished operation") {
  CoreHarness entry;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
  auto before = GetApp(entry, "web");
  api::UpdateAppRequest update;
  *update.mutable_app() = *before;
  update.mutable_app()->clear_status();
  auto operation = entry.Call<api::Operation>("AppService/UpdateApp", update);
  REQUIRE(operation.ok());
  CHECK(operation->done());
  CHECK(operation->response().Is<api::App>());
  auto after = GetApp(entry, "web");
  CHECK(after->etag() == before->etag());
  CHECK(after->generation() == before->generation());
}

TEST_CASE("apps: an update may create what is missing") {
  CoreHarness entry;
  api::UpdateAppRequest update;
  *update.mutable_app() = NewApp("web").app();
  update.mutable_app()->set_name("projects/default/apps/web");
  CHECK(absl::IsNotFound(entry.Call<api::Operation>("AppService/UpdateApp", update).status()));
  update.set_allow_missing(true);
  auto operation = entry.Call<api::Operation>("AppService/UpdateApp", update);
  REQUIRE(operation.ok());
  CHECK(operation->kind() == "CREATE");
  CHECK(GetApp(entry, "web").ok());
}

TEST_CASE("apps: a deleted app is kept, refuses changes and comes back") {
  CoreHarness entry;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
  api::DeleteAppRequest remove;
  remove.set_name("projects/default/apps/web");
  REQUIRE(entry.Call<api::Operation>("AppService/DeleteApp", remove).ok());
  auto app = GetApp(entry, "web");
  REQUIRE(app.ok());
  CHECK(app->has_delete_time());
  CHECK(app->purge_time().seconds() - app->delete_time().seconds() == 7 * 24 * 3600);
  CHECK(ErrorReason(Verb<api::StartAppRequest>(entry, "StartApp", "web").status()) ==
        "APP_DELETED");
  CHECK(Verb<api::StopAppRequest>(entry, "StopApp", "web").ok());
  CHECK(absl::IsAlreadyExists(
      entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).status()));
  CHECK(ListAppIds(entry).empty());
  REQUIRE(Verb<api::UndeleteAppRequest>(entry, "UndeleteApp", "web").ok());
  CHECK_FALSE(GetApp(entry, "web")->has_delete_time());
  CHECK(ListAppIds(entry) == std::vector<std::string>{"web"});
  CHECK(ErrorReason(Verb<api::UndeleteAppRequest>(entry, "UndeleteApp", "web").status()) ==
        "APP_NOT_DELETED");
}

TEST_CASE("apps: a purge and the end of the time to undelete remove the app") {
  CoreHarness entry;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("now")).ok());
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("later")).ok());
  api::DeleteAppRequest remove;
  remove.set_name("projects/default/apps/now");
  remove.set_purge(true);
  REQUIRE(entry.Call<api::Operation>("AppService/DeleteApp", remove).ok());
  CHECK(absl::IsNotFound(GetApp(entry, "now").status()));
  remove.set_name("projects/default/apps/later");
  remove.set_purge(false);
  REQUIRE(entry.Call<api::Operation>("AppService/DeleteApp", remove).ok());
  entry.Advance(absl::Hours(7 * 24) - absl::Minutes(2));
  CHECK(GetApp(entry, "later").ok());
  entry.Advance(absl::Minutes(5));
  CHECK(absl::IsNotFound(GetApp(entry, "later").status()));
  CHECK(entry.catalog().revisions.rows().empty());
}

TEST_CASE("apps: a jump of the wall clock purges nothing") {
  CoreHarness entry;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
  api::DeleteAppRequest remove;
  remove.set_name("projects/default/apps/web");
  REQUIRE(entry.Call<api::Operation>("AppService/DeleteApp", remove).ok());
  entry.Advance(absl::Minutes(2));
  entry.now.wall += absl::Hours(1000);
  entry.Advance(absl::Minutes(5));
  CHECK(GetApp(entry, "web").ok());
}

}  // namespace
}  // namespace appsup::entry
