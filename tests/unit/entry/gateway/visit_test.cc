#include "entry/gateway/visit.h"

#include <catch2/catch.hpp>

namespace appsup::entry {
namespace {

appsupervisor::v1::App AppWithEndpoints(std::vector<std::string> addresses) {
  appsupervisor::v1::App app;
  app.set_name("projects/default/apps/crm");
  app.mutable_spec()->add_ports()->set_name("http");
  app.mutable_spec()->add_ports()->set_name("admin");
  for (const std::string& address : addresses) {
    auto* endpoint = app.mutable_status()->add_endpoints();
    endpoint->set_port("http");
    endpoint->set_address(address);
  }
  auto* admin = app.mutable_status()->add_endpoints();
  admin->set_port("admin");
  admin->set_address("10.0.0.9:1");
  return app;
}

TEST_CASE("visit: a path names an app of the default project, or of any") {
  CHECK(ParseVisit("/apps/crm/")->app_name == "projects/default/apps/crm");
  CHECK(ParseVisit("/apps/crm/a/b")->rest == "/a/b");
  CHECK(ParseVisit("/projects/acme/apps/crm/x")->app_name == "projects/acme/apps/crm");
  CHECK(ParseVisit("/projects/acme/apps/crm/x")->rest == "/x");
  CHECK(ParseVisit("/apps/crm")->add_slash);
  CHECK_FALSE(ParseVisit("/apps/crm/")->add_slash);
}

TEST_CASE("visit: anything else is no app") {
  for (const char* path : {"/", "/apps", "/apps/", "/apps//x", "/apps/CRM/", "/apps/a%2fb/",
                           "/projects/acme/", "/projects//apps/crm/", "/other/crm/", "apps/crm"}) {
    INFO(path);
    CHECK_FALSE(ParseVisit(path).has_value());
  }
}

TEST_CASE("visit: ready instances take turns, and path and query are kept") {
  const auto app = AppWithEndpoints({"10.0.0.1:20000", "10.0.0.2:20000"});
  const Visit visit = *ParseVisit("/apps/crm/a b");
  const auto first = AnswerVisit(app, visit, "x=1", 0);
  CHECK(first.status == 307);
  CHECK(first.headers.at("Location") == "http://10.0.0.1:20000/a%20b?x=1");
  CHECK(AnswerVisit(app, visit, "", 1).headers.at("Location") == "http://10.0.0.2:20000/a%20b");
  CHECK(AnswerVisit(app, visit, "", 2).headers.at("Location") == "http://10.0.0.1:20000/a%20b");
}

TEST_CASE("visit: a path cannot break out of the redirect's header") {
  const auto app = AppWithEndpoints({"10.0.0.1:20000"});
  const auto answer = AnswerVisit(app, *ParseVisit("/apps/crm/x\r\nSet-Cookie: a=b"), "", 0);
  CHECK(answer.headers.at("Location") == "http://10.0.0.1:20000/x%0D%0ASet-Cookie:%20a=b");
}

TEST_CASE("visit: without a ready instance the answer says why") {
  auto app = AppWithEndpoints({});
  app.mutable_status()->set_state(appsupervisor::v1::APP_STATE_BACKING_OFF);
  auto* condition = app.mutable_status()->add_conditions();
  condition->set_type("Ready");
  condition->set_status(appsupervisor::v1::CONDITION_STATUS_FALSE);
  condition->set_message("the process ended with code 1");
  const auto answer = AnswerVisit(app, *ParseVisit("/apps/crm/"), "", 0);
  CHECK(answer.status == 503);
  CHECK(answer.headers.contains("Retry-After"));
  CHECK_THAT(answer.body, Catch::Contains("BACKING_OFF"));
  CHECK_THAT(answer.body, Catch::Contains("the process ended with code 1"));
}

}  // namespace
}  // namespace appsup::entry
