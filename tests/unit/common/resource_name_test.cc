#include "common/resource_name.h"

#include <catch2/catch.hpp>

#include "common/status.h"

namespace appsup {

TEST_CASE("resource name: ids are DNS labels that begin with a letter") {
  for (const std::string& id : {std::string("a"), std::string("web"), std::string("a-1"),
                                std::string("a--b"), std::string(63, 'x')}) {
    INFO(id);
    CHECK(IsValidId(id));
    CHECK(CheckId("app_id", id).ok());
  }
  for (const std::string& id :
       {std::string(""), std::string("1a"), std::string("-a"), std::string("a-"), std::string("A"),
        std::string("a_b"), std::string("a/b"), std::string("ä"), std::string("a\0b", 3),
        std::string(64, 'x')}) {
    INFO(id);
    CHECK_FALSE(IsValidId(id));
  }
}

TEST_CASE("resource name: a bad id is named with its field and the rule") {
  absl::Status status = CheckId("app_id", "Web");
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(ErrorReason(status) == "INVALID_ID");
  auto violations = GetFieldViolations(status);
  REQUIRE(violations.size() == 1);
  CHECK(violations[0].field == "app_id");
  CHECK(violations[0].description.find("\"Web\"") != std::string::npos);
  CHECK(CheckId("app_id", std::string(100000, 'X')).message().size() < 400);
}

TEST_CASE("resource name: a pattern takes the ids out of a name") {
  using Ids = std::vector<std::string>;
  CHECK(MatchName("projects/*", "projects/shop") == Ids{"shop"});
  CHECK(MatchName("projects/*/apps/*", "projects/shop/apps/web") == Ids{"shop", "web"});
  CHECK(MatchName("projects/*/apps/*/instances/*", "projects/a/apps/b/instances/c") ==
        Ids{"a", "b", "c"});
  CHECK(MatchName("system", "system") == Ids{});
}

TEST_CASE("resource name: other forms do not match") {
  for (const char* name :
       {"", "projects", "projects/", "projects//apps/web", "projects/shop", "projects/shop/apps/",
        "projects/shop/apps/web/", "/projects/s/apps/w", "projects/shop/nodes/web",
        "projects/shop/apps/Web", "projects/shop/apps/web/x", "Projects/shop/apps/web"}) {
    INFO(name);
    CHECK_FALSE(MatchName("projects/*/apps/*", name).has_value());
  }
}

TEST_CASE("resource name: ParseName explains what it expected and leaves the ids alone") {
  std::vector<std::string> ids = {"old"};
  absl::Status status = ParseName("name", "projects/*/apps/*", "projects/shop", &ids);
  CHECK(ErrorReason(status) == "INVALID_NAME");
  CHECK(GetFieldViolations(status).at(0).description.find("projects/*/apps/*") !=
        std::string::npos);
  CHECK(ids == std::vector<std::string>{"old"});
  CHECK(ParseName("name", "projects/*", "projects/shop", &ids).ok());
  CHECK(ids == std::vector<std::string>{"shop"});
}

TEST_CASE("resource name: FormatName is the inverse of MatchName") {
  std::string name = FormatName("projects/*/apps/*", {"shop", "web"});
  CHECK(name == "projects/shop/apps/web");
  CHECK(FormatName("system", {}) == "system");
}

}  // namespace appsup
