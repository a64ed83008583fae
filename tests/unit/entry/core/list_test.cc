#include <catch2/catch.hpp>

#include "appsupervisor/v1/project_service.pb.h"
#include "common/status.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

namespace appsup::entry {
namespace {

void Create(CoreHarness& entry, const std::string& id, int sort = 0, const std::string& tier = "") {
  api::CreateAppRequest request = NewApp(id);
  request.mutable_app()->set_sort(sort);
  if (!tier.empty()) (*request.mutable_app()->mutable_labels())["tier"] = tier;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", request).ok());
  entry.Advance(absl::Milliseconds(10));
}

std::vector<std::string> AllPages(CoreHarness& entry, api::ListAppsRequest request) {
  std::vector<std::string> ids;
  do {
    auto page = entry.Call<api::ListAppsResponse>("AppService/ListApps", request);
    REQUIRE(page.ok());
    CHECK(page->apps_size() <= request.page_size());
    for (const api::App& app : page->apps()) ids.push_back(IdOf(app.name()));
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return ids;
}

TEST_CASE("lists: pages follow one another in every order") {
  CoreHarness entry;
  for (int at = 0; at < 7; ++at) Create(entry, "app" + std::to_string(at), at % 3);
  api::ListAppsRequest request;
  request.set_parent("projects/default");
  request.set_page_size(2);
  CHECK(AllPages(entry, request) ==
        std::vector<std::string>{"app0", "app1", "app2", "app3", "app4", "app5", "app6"});
  request.set_order_by("create_time desc");
  CHECK(AllPages(entry, request) ==
        std::vector<std::string>{"app6", "app5", "app4", "app3", "app2", "app1", "app0"});
  request.set_order_by("sort desc, name");
  CHECK(AllPages(entry, request) ==
        std::vector<std::string>{"app2", "app5", "app1", "app4", "app0", "app3", "app6"});
}

TEST_CASE("lists: a page goes on where it was although rows came and went") {
  CoreHarness entry;
  for (const char* id : {"a", "c", "e", "g"}) Create(entry, id);
  api::ListAppsRequest request;
  request.set_parent("projects/-");
  request.set_page_size(2);
  auto first = entry.Call<api::ListAppsResponse>("AppService/ListApps", request);
  REQUIRE(first->apps_size() == 2);
  Create(entry, "b");
  Create(entry, "d");
  api::DeleteAppRequest remove;
  remove.set_name("projects/default/apps/c");
  remove.set_purge(true);
  REQUIRE(entry.Call<api::Operation>("AppService/DeleteApp", remove).ok());
  request.set_page_token(first->next_page_token());
  CHECK(AllPages(entry, request) == std::vector<std::string>{"d", "e", "g"});
}

TEST_CASE(
    "lists: a token is refused with other arguments or broken, and lives on after a restart") {
  CoreHarness entry;
  for (const char* id : {"a", "b", "c"}) Create(entry, id);
  api::ListAppsRequest request;
  request.set_parent("projects/default");
  request.set_page_size(1);
  const std::string token =
      entry.Call<api::ListAppsResponse>("AppService/ListApps", request)->next_page_token();
  REQUIRE_FALSE(token.empty());
  const auto fields = [&] {
    return FieldsOf(entry.Call<api::ListAppsResponse>("AppService/ListApps", request).status());
  };
  request.set_page_token(token);
  request.set_page_size(2);
  CHECK(fields().empty());
  request.set_filter("sort = 0");
  CHECK(fields() == std::vector<std::string>{"page_token"});
  request.clear_filter();
  request.set_page_token(token + "x");
  CHECK(fields() == std::vector<std::string>{"page_token"});
  request.set_page_token("page-2");
  request.set_page_size(-1);
  request.set_filter("nonsense = 1");
  request.set_order_by("spec");
  request.set_parent("apps");
  CHECK(fields() ==
        std::vector<std::string>{"parent", "page_size", "filter", "page_token", "order_by"});
  request = {};
  request.set_parent("projects/default");
  request.set_page_token(token);
  entry.Restart();
  CHECK(fields().empty());
}

TEST_CASE("lists: filters look at labels, spec and status") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  PlayedAgent agent(entry, "n1");
  Create(entry, "crm", 1, "gold");
  agent.Run();
  agent.Disconnect();
  Create(entry, "erp", 2, "silver");
  CHECK(ListAppIds(entry, "labels.tier = gold") == std::vector<std::string>{"crm"});
  CHECK(ListAppIds(entry, "state = RUNNING AND labels.tier = gold") ==
        std::vector<std::string>{"crm"});
  CHECK(ListAppIds(entry, "state != APP_STATE_RUNNING") == std::vector<std::string>{"erp"});
  CHECK(ListAppIds(entry, "sort > 1 OR labels.tier = gold") ==
        std::vector<std::string>{"crm", "erp"});
  CHECK(ListAppIds(entry, "generation = 1 -sort = 2") == std::vector<std::string>{"crm"});
}

TEST_CASE("lists: who is limited to a project sees only that") {
  CoreHarness entry;
  api::CreateProjectRequest project;
  project.set_project_id("shop");
  REQUIRE(entry.Call<api::Project>("ProjectService/CreateProject", project).ok());
  Create(entry, "mine");
  api::CreateAppRequest request = NewApp("theirs");
  request.set_parent("projects/shop");
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", request).ok());
  CHECK(ListAppIds(entry) == std::vector<std::string>{"mine", "theirs"});
  entry.principal.project = "shop";
  CHECK(ListAppIds(entry) == std::vector<std::string>{"theirs"});
}

TEST_CASE("lists: instances of one app, of a project and of all") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  PlayedAgent agent(entry, "n1");
  Create(entry, "crm");
  Create(entry, "erp");
  agent.Run();
  const auto count = [&](const std::string& parent, const std::string& filter) {
    api::ListInstancesRequest request;
    request.set_parent(parent);
    request.set_filter(filter);
    auto page = entry.Call<api::ListInstancesResponse>("AppService/ListInstances", request);
    return page.ok() ? page->instances_size() : -static_cast<int>(page.status().code());
  };
  CHECK(count("projects/default/apps/crm", "") == 1);
  CHECK(count("projects/default/apps/-", "") == 2);
  CHECK(count("projects/-/apps/-", "node = n1 AND state = RUNNING") == 2);
  CHECK(count("projects/-/apps/erp", "") == 1);
  CHECK(count("projects/-/apps/-", "node = n2") == 0);
  CHECK(count("projects/default/apps/nope", "") == -static_cast<int>(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace appsup::entry
