#include "agent/core/claims.h"

#include <catch2/catch.hpp>

#include "appsupervisor/agent/v1/journal.pb.h"

namespace appsup::agent {
namespace {

std::string Row(int32_t number) {
  appsupervisor::agent::v1::PortRecord record;
  record.set_number(number);
  return record.SerializeAsString();
}

TEST_CASE("claims: a fixed port has one holder, who is named to others") {
  Claims claims(20000, 20009);
  REQUIRE(claims.ClaimFixed(80, "a", "instance web-0").ok());
  CHECK(claims.ClaimFixed(80, "a", "instance web-0").ok());
  const absl::Status status = claims.ClaimFixed(80, "b", "instance api-0");
  CHECK(std::string(status.message()) == "port 80 is in use by instance web-0 on this node");
  CHECK_FALSE(claims.TakeReleased());
  claims.Release("a");
  CHECK(claims.TakeReleased());
  CHECK(claims.ClaimFixed(80, "b", "instance api-0").ok());
}

TEST_CASE("claims: a slot keeps its number, which others do not get") {
  Claims claims(20000, 20001);
  const auto first = claims.ClaimPicked("app/eu/0", "http", "a", "a", {}, 0);
  REQUIRE(first.ok());
  CHECK(first->fresh);
  claims.Release("a");
  const auto other = claims.ClaimPicked("app/eu/1", "http", "b", "b", {}, 0);
  REQUIRE(other.ok());
  CHECK(other->number != first->number);
  const auto again = claims.ClaimPicked("app/eu/0", "http", "c", "c", {}, 5);
  REQUIRE(again.ok());
  CHECK(again->number == first->number);
  CHECK_FALSE(again->fresh);
}

TEST_CASE("claims: old and new of one slot side by side get two numbers") {
  Claims claims(20000, 20009);
  const auto old = claims.ClaimPicked("app/eu/0", "http", "a", "a", {}, 0);
  const auto young = claims.ClaimPicked("app/eu/0", "http", "b", "b", {}, 0);
  REQUIRE(old.ok());
  REQUIRE(young.ok());
  CHECK(old->number != young->number);
  claims.Release("a");
  claims.Release("b");
  CHECK(claims.ClaimPicked("app/eu/0", "http", "c", "c", {}, 0)->number == young->number);
}

TEST_CASE("claims: a full range takes numbers of slots that do not run, then says so") {
  Claims claims(20000, 20001);
  REQUIRE(claims.ClaimPicked("s0", "p", "a", "a", {}, 0).ok());
  REQUIRE(claims.ClaimPicked("s1", "p", "b", "b", {}, 0).ok());
  CHECK(absl::IsResourceExhausted(claims.ClaimPicked("s2", "p", "c", "c", {}, 0).status()));
  claims.Release("a");
  CHECK(claims.ClaimPicked("s2", "p", "c", "c", {}, 0)->number == 20000);
}

TEST_CASE("claims: rows say what changed, and are read back") {
  Claims claims(20000, 20009);
  const auto picked = claims.ClaimPicked("s0", "p", "a", "a", {}, 3);
  REQUIRE(picked.ok());
  const auto rows = claims.TakeRows();
  REQUIRE(rows.size() == 1);
  CHECK(rows.at("s0/p") == picked->number);
  CHECK(claims.TakeRows().empty());

  Claims read(20000, 20009);
  read.Load({{"s0/p", Row(picked->number)}, {"s1/p", "rubbish"}, {"s2/p", Row(0)}});
  CHECK(read.ClaimPicked("s0", "p", "b", "b", {}, 0)->number == picked->number);
  read.ForgetSlot("s0");
  CHECK(read.TakeRows().at("s0/p") == 0);
}

TEST_CASE("claims: what came to nothing wakes nobody") {
  Claims claims(20000, 20009);
  REQUIRE(claims.ClaimFolder("/data", "a", "a").ok());
  CHECK_FALSE(claims.ClaimFolder("/data", "b", "b").ok());
  claims.Undo("a");
  CHECK_FALSE(claims.TakeReleased());
  CHECK(claims.ClaimFolder("/data", "b", "b").ok());
}

}  // namespace
}  // namespace appsup::agent
