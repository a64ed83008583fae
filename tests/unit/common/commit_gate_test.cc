#include "common/commit_gate.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

namespace appsup {

using Effects = std::vector<std::string>;

TEST_CASE("commit gate: an effect is held until its index is durable") {
  CommitGate<std::string> gate;
  gate.Hold(1, "a");
  gate.Hold(2, "b");
  gate.Hold(2, "c");
  gate.Hold(3, "d");
  CHECK(gate.Release(0).empty());
  CHECK(gate.Release(2) == Effects{"a", "b", "c"});
  CHECK(gate.size() == 1);
  CHECK(gate.Release(9) == Effects{"d"});
  CHECK(gate.empty());
}

TEST_CASE("commit gate: order is kept even if a later effect needs less") {
  CommitGate<std::string> gate;
  gate.Hold(5, "needs five");
  gate.Hold(1, "a read of what five will show");
  CHECK(gate.Release(4).empty());
  CHECK(gate.Release(5) == Effects{"needs five", "a read of what five will show"});
}

TEST_CASE("commit gate: what needs no new commit passes at the next release") {
  CommitGate<std::string> gate;
  gate.Release(7);
  gate.Hold(7, "read");
  CHECK(gate.Release(3) == Effects{"read"});
  CHECK(gate.durable_index() == 7);
}

TEST_CASE("commit gate: a failed commit hands back everything and releases nothing") {
  CommitGate<std::string> gate;
  gate.Hold(1, "a");
  gate.Hold(2, "b");
  CHECK(gate.Fail() == Effects{"a", "b"});
  CHECK(gate.Release(2).empty());
}

TEST_CASE("commit gate: holds effects that can only be moved") {
  CommitGate<std::unique_ptr<int>> gate;
  gate.Hold(1, std::make_unique<int>(4));
  CHECK(*gate.Release(1).at(0) == 4);
}

}  // namespace appsup
