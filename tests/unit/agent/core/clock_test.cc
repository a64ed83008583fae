#include <catch2/catch.hpp>

#include "tests/fake/agent_world.h"

namespace appsup::agent {
namespace {

namespace api = appsupervisor::v1;

constexpr absl::Duration kYear = absl::Hours(24 * 365);

// The same story is told twice, once with the wall clock jumping by `jump` in its middle: what is
// done when, by boot time, must be the same.
struct World : AgentWorld {
  explicit World(absl::Duration by) : jump(by) {
    Boot();
    ConnectDriver();
    Connect();
  }
  void Jump() { JumpWallClock(jump); }
  // When the instance was started the nth time.
  std::vector<absl::Duration> Starts(absl::Duration during, const std::string& uid = "a") {
    std::vector<absl::Duration> times;
    for (absl::Duration past; past < during; past += absl::Milliseconds(100)) {
      const int before = started;
      Advance(absl::Milliseconds(100));
      if (started > before && Runs(uid)) times.push_back(now.boot);
    }
    return times;
  }
  const absl::Duration jump;
};

template <class Story>
void SameWhateverTheClockSays(Story story) {
  World undisturbed(absl::ZeroDuration());
  const auto expected = story(undisturbed);
  for (const absl::Duration jump : {kYear, -kYear, absl::Seconds(90), -absl::Seconds(90)}) {
    World disturbed(jump);
    CHECK(story(disturbed) == expected);
  }
}

TEST_CASE("clock: a jump changes nothing of a restart's delay") {
  SameWhateverTheClockSays([](World& world) {
    world.Assign(RunAssignment("a"));
    world.Exit("a", 1);
    world.Advance(absl::Milliseconds(300));
    world.Jump();
    const auto starts = world.Starts(absl::Seconds(5));
    REQUIRE(starts.size() == 1);
    return starts;
  });
}

TEST_CASE("clock: a jump changes nothing of the window and the tries of a crash loop") {
  SameWhateverTheClockSays([](World& world) {
    world.Assign(RunAssignment("a"));
    for (int i = 0; i < 5; ++i) {
      world.Exit("a", 1);
      world.Jump();
      if (i < 4) world.Advance(absl::Seconds(20));
    }
    world.Advance(absl::Milliseconds(200));
    CHECK(world.StatusOf("a").message().starts_with("crash loop"));
    return world.Starts(absl::Minutes(7));
  });
}

TEST_CASE("clock: a jump neither makes nor ends a stable run") {
  SameWhateverTheClockSays([](World& world) {
    world.Assign(RunAssignment("a"));
    world.Exit("a", 1);
    world.Advance(absl::Seconds(3));
    world.Jump();
    world.Exit("a", 1);
    return world.Starts(absl::Seconds(10));
  });
}

TEST_CASE("clock: a jump changes nothing of a setup's time") {
  SameWhateverTheClockSays([](World& world) {
    api::Assignment setup = RunAssignment("a");
    setup.set_setup(true);
    setup.mutable_spec()->mutable_setup()->add_command("migrate");
    setup.mutable_spec()->mutable_setup()->mutable_timeout()->set_seconds(60);
    world.Assign(setup);
    world.Advance(absl::Seconds(59));
    world.Jump();
    CHECK(world.Runs("a"));
    world.Advance(absl::Seconds(2));
    CHECK_FALSE(world.Runs("a"));
    return world.StatusOf("a").message();
  });
}

TEST_CASE("clock: a jump while the agent is away changes nothing of what it remembers") {
  SameWhateverTheClockSays([](World& world) {
    world.Assign(RunAssignment("a"));
    for (int i = 0; i < 4; ++i) {
      world.Exit("a", 1);
      world.Advance(absl::Seconds(20));
    }
    world.KillAgent();
    world.Jump();
    world.Boot();
    world.ConnectDriver();
    world.Exit("a", 1);
    world.Advance(absl::Milliseconds(200));
    return world.Starts(absl::Minutes(7));
  });
}

TEST_CASE("clock: a jump changes nothing of heartbeats, leases and fences") {
  SameWhateverTheClockSays([](World& world) {
    api::Assignment fenced = RunAssignment("a");
    fenced.set_fenced(true);
    world.Assign(fenced);
    world.Advance(absl::Seconds(1));
    world.Jump();
    world.received.clear();
    world.Advance(absl::Seconds(30));
    CHECK(world.received.size() == 10);
    CHECK(world.started == 1);
    CHECK(world.Seen<CloseLink>().empty());
    return world.RunningOf("a").fence->deadline;
  });
}

TEST_CASE("clock: a jump changes nothing of when a silent entry is left") {
  SameWhateverTheClockSays([](World& world) {
    world.grants = false;
    world.Advance(absl::Seconds(2));
    world.Jump();
    std::vector<absl::Duration> left;
    for (int i = 0; i < 200 && left.empty(); ++i) {
      world.Advance(absl::Milliseconds(100));
      if (!world.Seen<CloseLink>().empty()) left.push_back(world.now.boot);
    }
    REQUIRE(left.size() == 1);
    return left;
  });
}

TEST_CASE("clock: a jump changes nothing of what runs, and of its shown start") {
  SameWhateverTheClockSays([](World& world) {
    world.Assign(RunAssignment("a"));
    world.Advance(absl::Seconds(1));
    world.Jump();
    world.DisconnectDriver();
    world.ConnectDriver();
    world.Advance(absl::Hours(1));
    CHECK(world.started == 1);
    return world.StatusOf("a").start_time().seconds();
  });
}

}  // namespace
}  // namespace appsup::agent
