#include "entry/core/filter.h"

#include <catch2/catch.hpp>

#include "appsupervisor/v1/app.pb.h"

namespace appsup::entry {
namespace {

namespace api = ::appsupervisor::v1;

api::App Crm() {
  api::App app;
  app.set_name("projects/default/apps/crm");
  app.set_display_name("Customers (all)");
  app.set_sort(7);
  (*app.mutable_labels())["tier"] = "gold";
  (*app.mutable_labels())["app.kubernetes.io/name"] = "crm";
  app.mutable_create_time()->set_seconds(1'767'225'600);  // 2026-01-01.
  app.mutable_spec()->set_replicas(2);
  app.mutable_spec()->mutable_placement()->add_environments("eu");
  app.mutable_spec()->add_ports()->set_name("http");
  app.mutable_spec()->mutable_stop()->mutable_grace_period()->set_seconds(90);
  app.mutable_status()->set_state(api::APP_STATE_RUNNING);
  return app;
}

TEST_CASE("filter: what matches and what does not") {
  struct Case {
    const char* text;
    bool matches;
  };
  const Case cases[] = {
      {"", true},
      {"  ", true},
      {"state = RUNNING", true},
      {"state = APP_STATE_RUNNING", true},
      {"state = FAILED", false},
      {"state != FAILED", true},
      {"status.state = RUNNING", true},
      {"labels.tier = gold", true},
      {"labels.tier != gold", false},
      {"labels.none != gold", true},
      {"labels.none = gold", false},
      {"labels:tier", true},
      {"labels:none", false},
      {"labels.tier:*", true},
      {"labels.app.kubernetes.io/name = crm", true},
      {"display_name = \"Customers (all)\"", true},
      {"display_name = 'Cust*'", true},
      {"display_name = \"*all)\"", true},
      {"display_name:omer", true},
      {"sort > 6", true},
      {"sort >= 8", false},
      {"sort < 7", false},
      {"sort = 7.0", true},
      {"sort = -7", false},
      {"hidden = false", true},
      {"replicas = 2", true},
      {"spec.replicas = 2", true},
      {"spec.ports.name = http", true},
      {"spec.ports.name = https", false},
      {"placement.environments:eu", true},
      {"create_time > \"2025-12-31T00:00:00Z\"", true},
      {"create_time > \"2026-06-01T00:00:00Z\"", false},
      {"stop.grace_period = 90s", true},
      {"stop.grace_period < 1m", false},
      {"spec.setup:*", false},
      {"spec.stop:*", true},
      {"NOT state = FAILED", true},
      {"-state = RUNNING", false},
      {"state = FAILED OR sort = 7", true},
      {"state = RUNNING sort = 8", false},
      {"state = FAILED AND sort = 7 OR sort = 8", false},
      // AND binds looser than OR.
      {"sort = 8 OR state = RUNNING AND labels.tier = gold", true},
      {"sort = 7 OR sort = 8 AND state = FAILED", false},
      {"(sort = 7) OR (sort = 8 AND state = FAILED)", true},
      {"NOT (sort = 7 AND hidden = true)", true},
  };
  const api::App app = Crm();
  for (const Case& test : cases) {
    INFO(test.text);
    auto filter = Filter::Parse(test.text);
    REQUIRE(filter.ok());
    CHECK(filter->Check(*api::App::descriptor()).ok());
    CHECK(filter->Matches(app) == test.matches);
  }
}

TEST_CASE("filter: what cannot be read or does not fit is refused") {
  for (const char* text :
       {"nonsense = 1", "state = LAUGHING", "sort = many", "hidden = maybe", "spec = 1",
        "create_time > yesterday", "stop.grace_period = long", "labels = gold", "state",
        "state =", "= RUNNING", "(state = RUNNING", "state = RUNNING)", "state = RUNNING AND",
        "display_name = \"open", "a,b = c", "state = RUNNING OR OR sort = 1", "NOT"}) {
    INFO(text);
    auto filter = Filter::Parse(text);
    const absl::Status status =
        filter.ok() ? filter->Check(*api::App::descriptor()) : filter.status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_FALSE(status.message().empty());
  }
}

TEST_CASE("filter: who leaves out the key of a map is shown where it goes") {
  for (const char* text : {"labels = gold", "labels. = gold"}) {
    INFO(text);
    auto filter = Filter::Parse(text);
    REQUIRE(filter.ok());
    CHECK_THAT(filter->Check(*api::App::descriptor()).ToString(),
               Catch::Contains("write labels.KEY = VALUE or labels:KEY"));
  }
}

TEST_CASE("filter: depth and length have limits") {
  std::string deep = "sort = 1";
  deep.insert(0, 100, '(');
  deep.append(100, ')');
  CHECK_FALSE(Filter::Parse(deep).ok());
  std::string too_long = "sort = 1";
  too_long.append(5000, ' ');
  CHECK_FALSE(Filter::Parse(too_long).ok());
  std::string many = "sort = 1";
  for (int at = 0; at < 200; ++at) many += " OR sort = 7";
  CHECK(Filter::Parse(many)->Matches(Crm()));
}

}  // namespace
}  // namespace appsup::entry
