#include "entry/cli/selector.h"

#include <catch2/catch.hpp>
#include <string>

namespace appsup::cli {
namespace {

TEST_CASE("selector: becomes a filter") {
  const auto filter = [](const std::string& text) { return FilterOfSelector(text).value(); };
  CHECK(filter("").empty());
  CHECK(filter("tier=gold") == "labels.tier = \"gold\"");
  CHECK(filter("tier==gold, customer!=acme") ==
        "labels.tier = \"gold\" AND NOT labels.customer = \"acme\"");
  CHECK(filter("web,!old") == "labels.web:* AND NOT labels.old:*");
  CHECK(filter("note=a\"b") == "labels.note = \"a\\\"b\"");
  CHECK(filter("empty=") == "labels.empty = \"\"");
}

TEST_CASE("selector: what cannot be read is refused by name") {
  for (const char* text : {"=gold", "a b", "tier=gold,", "!", "a=b=c", "a OR b"}) {
    INFO(text);
    const absl::Status status = FilterOfSelector(text).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()).find("is no label selector") != std::string::npos);
  }
}

TEST_CASE("selector: two filters must both match") {
  CHECK(AndFilters("a = 1", "") == "a = 1");
  CHECK(AndFilters("", "b = 2") == "b = 2");
  CHECK(AndFilters("a = 1", "b = 2 OR c = 3") == "(a = 1) AND (b = 2 OR c = 3)");
}

}  // namespace
}  // namespace appsup::cli
