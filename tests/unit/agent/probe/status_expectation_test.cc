#include "agent/probe/status_expectation.h"

#include <catch2/catch.hpp>

namespace appsup::agent {
namespace {

TEST_CASE("status expectation: the default takes 200 to 399") {
  const StatusExpectation expectation;
  CHECK(expectation.Matches(200));
  CHECK(expectation.Matches(302));
  CHECK(expectation.Matches(399));
  CHECK_FALSE(expectation.Matches(199));
  CHECK_FALSE(expectation.Matches(400));
  CHECK(StatusExpectation::Parse("")->text() == "200-399");
}

TEST_CASE("status expectation: codes, classes and ranges may be joined") {
  const auto expectation = StatusExpectation::Parse("204, 3xx,500-503");
  REQUIRE(expectation.ok());
  for (int code : {204, 300, 399, 500, 503}) CHECK(expectation->Matches(code));
  for (int code : {200, 205, 400, 499, 504}) CHECK_FALSE(expectation->Matches(code));
  CHECK(expectation->text() == "204, 3xx,500-503");
}

TEST_CASE("status expectation: what is wrong is quoted with the allowed forms") {
  for (const std::string piece : {"2x", "abc", "99", "600", "399-200", "200-", "-200", "0xx", "6xx",
                                  "2000", "200-300-400", "+20", "20 0"}) {
    const auto expectation = StatusExpectation::Parse("200," + piece);
    INFO(piece);
    REQUIRE_FALSE(expectation.ok());
    const std::string message(expectation.status().message());
    CHECK(message.find("\"" + piece + "\" is no HTTP status") != std::string::npos);
    CHECK(message.find("200-399") != std::string::npos);
  }
  CHECK_FALSE(StatusExpectation::Parse("200,").ok());
  CHECK_FALSE(StatusExpectation::Parse(",").ok());
}

}  // namespace
}  // namespace appsup::agent
