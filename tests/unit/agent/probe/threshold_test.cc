#include "agent/probe/threshold.h"

#include <catch2/catch.hpp>
#include <string>

namespace appsup::agent {
namespace {

// The verdict after each result ('+' or '-'): u, p or f.
std::string Verdicts(ThresholdOptions options, const std::string& results) {
  Threshold threshold(options);
  std::string verdicts;
  for (char result : results) {
    const Threshold::Verdict before = threshold.verdict();
    const bool changed = threshold.Add(result == '+');
    REQUIRE(changed == (before != threshold.verdict()));
    verdicts += "upf"[static_cast<int>(threshold.verdict())];
  }
  return verdicts;
}

TEST_CASE("threshold: a verdict needs as many results in a row as it says") {
  CHECK(Verdicts({.success = 1, .failure = 3}, "+--+---+") == "ppppppfp");
  CHECK(Verdicts({.success = 2, .failure = 1}, "+-++-") == "uffpf");
  CHECK(Verdicts({.success = 1, .failure = 3}, "--+") == "uup");
  CHECK(Verdicts({.success = 3, .failure = 3}, "++-++-+++---") == "uuuuuuuupppf");
}

TEST_CASE("threshold: it can begin with a verdict, which holds like one that was reached") {
  CHECK(Verdicts({.success = 2, .failure = 3, .passing = true}, "--+---+") == "pppppff");
  CHECK(Verdicts({.success = 2, .failure = 1, .passing = true}, "+-++") == "pffp");
}

TEST_CASE("threshold: below one counts as one") {
  CHECK(Verdicts({.success = 0, .failure = -4}, "+-+") == "pfp");
}

}  // namespace
}  // namespace appsup::agent
