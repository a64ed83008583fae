#include "entry/store/postgres_parameters.h"

#include <catch2/catch.hpp>

namespace appsup::entry {
namespace {

TEST_CASE("postgres parameters: a server that does not answer is given up on within seconds") {
  const auto parameters = PostgresParameters("host=db dbname=catalog");
  REQUIRE(parameters.ok());
  CHECK(parameters->at("host") == "db");
  CHECK(parameters->at("dbname") == "catalog");
  CHECK(parameters->at("connect_timeout") == "5");
  CHECK(parameters->at("tcp_user_timeout") == "10000");
  CHECK(parameters->at("keepalives") == "1");
  CHECK(parameters->at("keepalives_idle") == "10");
}

TEST_CASE("postgres parameters: what the operator wrote wins, as keywords and as a URI") {
  for (const char* conninfo : {"connect_timeout=60 tcp_user_timeout=0 keepalives=0 host=db",
                               "postgresql://db?connect_timeout=60&tcp_user_timeout=0"
                               "&keepalives=0"}) {
    const auto parameters = PostgresParameters(conninfo);
    REQUIRE(parameters.ok());
    CHECK(parameters->at("host") == "db");
    CHECK(parameters->at("connect_timeout") == "60");
    CHECK(parameters->at("tcp_user_timeout") == "0");
    CHECK(parameters->at("keepalives") == "0");
    CHECK(parameters->at("keepalives_idle") == "10");
  }
}

TEST_CASE("postgres parameters: a string that libpq cannot read is refused with its reason") {
  for (const char* conninfo : {"catalog", "hosst=db", "postgresql://[db"}) {
    const absl::Status status = PostgresParameters(conninfo).status();
    INFO(conninfo);
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(status.ToString(), Catch::Contains("connection string cannot be read"));
  }
}

}  // namespace
}  // namespace appsup::entry
