#include "agent/link/enroll.h"

#include <catch2/catch.hpp>

#include "agent/link/renewal.h"
#include "common/resource_name.h"

namespace appsup::agent {
namespace {

TEST_CASE("enroll: a host name becomes a valid id") {
  CHECK(NodeIdFromHostName("eu-1.example.com") == "eu-1");
  CHECK(NodeIdFromHostName("EU_1") == "eu-1");
  CHECK(NodeIdFromHostName("10-0-0-7") == "n10-0-0-7");
  CHECK(NodeIdFromHostName("-web-") == "web");
  for (const char* name : {"", "...", "ä", "x-y-"}) CHECK(IsValidId(NodeIdFromHostName(name)));
  std::string long_name;
  while (long_name.size() < 200) {
    long_name.append("x-");
    CHECK(IsValidId(NodeIdFromHostName(long_name)));
  }
}

TEST_CASE("enroll: a token that is not whole is refused before anything is asked") {
  EnrollOptions options;
  options.entry = "127.0.0.1:1";
  options.token = "nonsense";
  CHECK(absl::IsInvalidArgument(Enroll(options).status()));
}

TEST_CASE("renewal: comes evenly between half and four fifths of the certificate's life") {
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  const absl::Time end = start + absl::Hours(100);
  CHECK(RenewalTime(start, end, 0) == start + absl::Hours(50));
  CHECK(RenewalTime(start, end, ~uint64_t{0}) <= start + absl::Hours(80));
  CHECK(RenewalTime(start, end, ~uint64_t{0}) > start + absl::Hours(79));
  CHECK(RenewalTime(start, end, uint64_t{1} << 63) == start + absl::Hours(65));
}

}  // namespace
}  // namespace appsup::agent
