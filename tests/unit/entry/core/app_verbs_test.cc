#include <catch2/catch.hpp>

#include "common/status.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

namespace appsup::entry {
namespace {

// An entry with a node on which an app "web" runs.
struct Running {
  Running() {
    entry.AddEnvironment("eu");
    entry.AddNode("n1", "eu");
    agent = std::make_unique<PlayedAgent>(entry, "n1");
    auto created = entry.Call<api::Operation>("AppService/CreateApp", NewApp("web"));
    REQUIRE(created.ok());
    agent->Run();
    REQUIRE(GetApp(entry, "web")->status().state() == api::APP_STATE_RUNNING);
    REQUIRE(GetOperation(entry, created->name())->done());
  }

  absl::StatusOr<api::Operation> SetEnv(const std::string& value) {
    api::UpdateAppRequest update;
    update.mutable_app()->set_name("projects/default/apps/web");
    (*update.mutable_app()->mutable_spec()->mutable_env())["V"] = value;
    return entry.Call<api::Operation>("AppService/UpdateApp", update);
  }

  CoreHarness entry;
  std::unique_ptr<PlayedAgent> agent;
};

TEST_CASE("app verbs: start of a running app is a finished operation") {
  Running world;
  auto operation = Verb<api::StartAppRequest>(world.entry, "StartApp", "web");
  REQUIRE(operation.ok());
  CHECK(operation->done());
  CHECK_FALSE(operation->has_error());
  CHECK(operation->response().Is<api::App>());
}

TEST_CASE("app verbs: stop and start change the run state and end when it is reached") {
  Running world;
  auto stop = Verb<api::StopAppRequest>(world.entry, "StopApp", "web");
  REQUIRE(stop.ok());
  CHECK_FALSE(stop->done());
  world.agent->Run();
  CHECK(GetOperation(world.entry, stop->name())->done());
  CHECK(GetApp(world.entry, "web")->status().state() == api::APP_STATE_STOPPED);
  CHECK(Verb<api::StopAppRequest>(world.entry, "StopApp", "web")->done());
  auto start = Verb<api::StartAppRequest>(world.entry, "StartApp", "web");
  world.agent->Run();
  CHECK(GetOperation(world.entry, start->name())->done());
  auto app = GetApp(world.entry, "web");
  CHECK(app->status().state() == api::APP_STATE_RUNNING);
  CHECK(app->generation() == 3);
  CHECK(world.entry.catalog().apps.Find(app->name())->last_revision() == 1);
}

TEST_CASE("app verbs: a later change supersedes an earlier one, which names it") {
  Running world;
  auto stop = Verb<api::StopAppRequest>(world.entry, "StopApp", "web");
  auto start = Verb<api::StartAppRequest>(world.entry, "StartApp", "web");
  auto old = GetOperation(world.entry, stop->name());
  CHECK(old->done());
  CHECK(old->superseded_by() == start->name());
  CHECK(old->error().code() == static_cast<int>(absl::StatusCode::kAborted));
  world.agent->Run();
  CHECK(GetOperation(world.entry, start->name())->done());
}

TEST_CASE("app verbs: a start that is asked for twice is one operation") {
  CoreHarness entry;
  auto create = entry.Call<api::Operation>("AppService/CreateApp", NewApp("web"));
  auto start = Verb<api::StartAppRequest>(entry, "StartApp", "web");
  REQUIRE(start.ok());
  CHECK(start->name() == create->name());
}

TEST_CASE("app verbs: restart starts every instance anew, but not a stopped app") {
  Running world;
  const size_t starts = world.agent->fake.started.size();
  auto restart = Verb<api::RestartAppRequest>(world.entry, "RestartApp", "web");
  REQUIRE(restart.ok());
  world.agent->Run();
  CHECK(GetOperation(world.entry, restart->name())->done());
  CHECK(world.agent->fake.started.size() == starts + 1);
  REQUIRE(Verb<api::StopAppRequest>(world.entry, "StopApp", "web").ok());
  world.agent->Run();
  auto refused = Verb<api::RestartAppRequest>(world.entry, "RestartApp", "web");
  CHECK(absl::IsFailedPrecondition(refused.status()));
  CHECK(ErrorReason(refused.status()) == "APP_STOPPED");
}

TEST_CASE("app verbs: scale makes no revision and checks its range") {
  Running world;
  api::ScaleAppRequest scale;
  scale.set_name("projects/default/apps/web");
  scale.set_replicas(3);
  auto operation = world.entry.Call<api::Operation>("AppService/ScaleApp", scale);
  REQUIRE(operation.ok());
  world.agent->Run();
  CHECK(GetOperation(world.entry, operation->name())->done());
  auto app = GetApp(world.entry, "web");
  CHECK(app->status().ready_replicas() == 3);
  CHECK(app->status().target_revision() == 1);
  CHECK(world.entry.Call<api::Operation>("AppService/ScaleApp", scale)->done());
  scale.set_replicas(-1);
  CHECK(FieldsOf(world.entry.Call<api::Operation>("AppService/ScaleApp", scale).status()) ==
        std::vector<std::string>{"replicas"});
}

TEST_CASE("app verbs: rollback makes a new revision with the old content") {
  Running world;
  REQUIRE(world.SetEnv("two").ok());
  world.agent->Run();
  CHECK(GetApp(world.entry, "web")->status().current_revision() == 2);
  auto rollback = Verb<api::RollbackAppRequest>(world.entry, "RollbackApp", "web");
  REQUIRE(rollback.ok());
  world.agent->Run();
  CHECK(GetOperation(world.entry, rollback->name())->done());
  auto app = GetApp(world.entry, "web");
  CHECK(app->status().current_revision() == 3);
  CHECK(app->spec().env().empty());
  api::RollbackAppRequest to;
  to.set_name(app->name());
  to.set_revision(2);
  REQUIRE(world.entry.Call<api::Operation>("AppService/RollbackApp", to).ok());
  CHECK(GetApp(world.entry, "web")->spec().env().at("V") == "two");
  to.set_revision(9);
  CHECK(absl::IsNotFound(world.entry.Call<api::Operation>("AppService/RollbackApp", to).status()));
}

TEST_CASE("app verbs: without an earlier revision there is nothing to roll back to") {
  Running world;
  auto refused = Verb<api::RollbackAppRequest>(world.entry, "RollbackApp", "web");
  CHECK(ErrorReason(refused.status()) == "NO_EARLIER_REVISION");
}

TEST_CASE("app verbs: revisions are listed newest first and only so many are kept") {
  Running world;
  for (int at = 0; at < 14; ++at) {
    REQUIRE(world.SetEnv(std::to_string(at)).ok());
    world.agent->Run();
  }
  api::ListAppRevisionsRequest list;
  list.set_parent("projects/default/apps/web");
  list.set_page_size(4);
  std::vector<int64_t> numbers;
  do {
    auto page =
        world.entry.Call<api::ListAppRevisionsResponse>("AppService/ListAppRevisions", list);
    REQUIRE(page.ok());
    for (const auto& revision : page->app_revisions()) numbers.push_back(revision.number());
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  REQUIRE(numbers.size() >= 10);
  CHECK(numbers.size() <= 12);
  CHECK(numbers.front() == 15);
  CHECK(std::is_sorted(numbers.rbegin(), numbers.rend()));
  api::GetAppRevisionRequest get;
  get.set_name("projects/default/apps/web/revisions/15");
  auto revision = world.entry.Call<api::AppRevision>("AppService/GetAppRevision", get);
  REQUIRE(revision.ok());
  CHECK(revision->spec().env().at("V") == "13");
  CHECK_FALSE(revision->spec().has_replicas());
  get.set_name("projects/default/apps/web/revisions/1");
  CHECK(absl::IsNotFound(
      world.entry.Call<api::AppRevision>("AppService/GetAppRevision", get).status()));
  get.set_name("projects/default/apps/web/revisions/x");
  CHECK(absl::IsInvalidArgument(
      world.entry.Call<api::AppRevision>("AppService/GetAppRevision", get).status()));
}

TEST_CASE("app verbs: a failed setup is tried again on request, an unknown one accepted") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  PlayedAgent agent(entry, "n1");
  agent.fake.setup_exits[1].set_code(3);
  api::CreateAppRequest create = NewApp("web");
  create.mutable_app()->mutable_spec()->mutable_setup()->add_command("./migrate");
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", create).ok());
  agent.Run();
  CHECK(GetApp(entry, "web")->status().state() != api::APP_STATE_RUNNING);
  CHECK(ErrorReason(Verb<api::AcceptSetupRequest>(entry, "AcceptSetup", "web").status()) ==
        "NO_SETUP_TO_ACCEPT");
  agent.fake.setup_exits[1].set_code(0);
  auto retry = Verb<api::RetrySetupRequest>(entry, "RetrySetup", "web");
  REQUIRE(retry.ok());
  agent.Run();
  CHECK(GetOperation(entry, retry->name())->done());
  CHECK(GetApp(entry, "web")->status().state() == api::APP_STATE_RUNNING);
  api::GetAppRevisionRequest get;
  get.set_name("projects/default/apps/web/revisions/1");
  CHECK(entry.Call<api::AppRevision>("AppService/GetAppRevision", get)->setup_state() ==
        api::SETUP_STATE_SUCCEEDED);
  CHECK(ErrorReason(Verb<api::RetrySetupRequest>(entry, "RetrySetup", "web").status()) ==
        "NO_SETUP_TO_RETRY");
}

}  // namespace
}  // namespace appsup::entry
