#include <string>

#include "catch2/catch.hpp"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

// What a wall clock that is set does to the entry: nothing.
namespace appsup::entry {
namespace {

constexpr absl::Duration kYear = absl::Hours(24 * 365);
constexpr absl::Duration kDay = absl::Hours(24);

CoreOptions OnOneMachine() {
  CoreOptions options;
  options.boot_id = "boot-1";
  return options;
}

struct Stage {
  explicit Stage(const CoreOptions& options = OnOneMachine()) : entry(options) {
    entry.AddEnvironment("eu");
    entry.AddNode("n1", "eu");
  }

  void DeleteApp() {
    REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
    api::DeleteAppRequest remove;
    remove.set_name("projects/default/apps/web");
    REQUIRE(entry.Call<api::Operation>("AppService/DeleteApp", remove).ok());
  }
  bool Exists() { return GetApp(entry, "web").ok(); }
  absl::Duration Left() {
    const auto app = GetApp(entry, "web");
    REQUIRE(app.ok());
    return absl::FromUnixSeconds(app->purge_time().seconds()) - entry.now.wall;
  }

  CoreHarness entry;
};

TEST_CASE("clock: a deleted app keeps its time when the wall clock is set") {
  Stage stage;
  stage.DeleteApp();
  const absl::Duration jump = GENERATE(1, -1) * kYear;
  stage.entry.now.wall += jump;
  stage.entry.Advance(absl::Minutes(2));
  REQUIRE(stage.Exists());
  CHECK(absl::AbsDuration(stage.Left() - 7 * kDay) < absl::Minutes(5));
  SECTION("also after a restart of the entry") { stage.entry.Restart(); }
  SECTION("in the same start") {}
  stage.entry.Advance(6 * kDay);
  CHECK(stage.Exists());
  stage.entry.Advance(kDay + absl::Minutes(2));
  CHECK_FALSE(stage.Exists());
}

TEST_CASE("clock: a clock that was set while no entry ran moves purge times as well") {
  Stage stage;
  stage.DeleteApp();
  stage.entry.now.wall += kYear;
  stage.entry.Restart();
  stage.entry.Advance(absl::Minutes(2));
  REQUIRE(stage.Exists());
  CHECK(absl::AbsDuration(stage.Left() - 7 * kDay) < absl::Minutes(5));
}

TEST_CASE("clock: time that passes while no entry runs is no jump") {
  Stage stage;
  stage.DeleteApp();
  stage.entry.now.wall += 8 * kDay;
  stage.entry.now.boot += 8 * kDay;
  stage.entry.Restart();
  stage.entry.Advance(absl::Minutes(2));
  CHECK_FALSE(stage.Exists());
}

TEST_CASE("clock: nothing is forgotten earlier because the clock was set forward") {
  Stage stage;
  api::CreateAppRequest request = NewApp("web");
  request.set_request_id("7e3b64b4-7a0c-4b39-a1c1-9f25a2c1a0b7");
  const auto first = stage.entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(first.ok());
  PlayedAgent agent(stage.entry, "n1");
  REQUIRE(GetOperation(stage.entry, first->name())->done());
  stage.entry.now.wall += kYear;
  stage.entry.Advance(absl::Minutes(2));
  CHECK(GetOperation(stage.entry, first->name()).ok());
  const auto again = stage.entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(again.ok());
  CHECK(again->name() == first->name());
}

TEST_CASE(
    "clock: an entry on a machine whose clock is ahead still knows what was asked for lately") {
  Stage stage((CoreOptions()));
  api::CreateAppRequest request = NewApp("web");
  request.set_request_id("7e3b64b4-7a0c-4b39-a1c1-9f25a2c1a0b7");
  const auto first = stage.entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(first.ok());
  stage.entry.now.wall += kYear;
  stage.entry.Restart();
  stage.entry.Advance(absl::Minutes(2));
  const auto again = stage.entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(again.ok());
  CHECK(again->name() == first->name());
}

TEST_CASE("clock: the log says that the clock was set, and by how much") {
  Stage stage;
  stage.DeleteApp();
  stage.entry.Advance(absl::Minutes(2));
  stage.entry.TakeNotes();
  stage.entry.now.wall += kYear;
  stage.entry.Advance(absl::Minutes(2));
  bool told = false;
  for (const Note& note : stage.entry.TakeNotes()) {
    told = told || (note.event == "wall-clock-jumped" && note.fields[0].second == "8760h");
  }
  CHECK(told);
}

TEST_CASE("clock: a rollout does not fail because the clock was set") {
  Stage stage;
  PlayedAgent agent(stage.entry, "n1");
  agent.fake.behaviours[1] = Behaviour::kNeverReady;
  const auto created = stage.entry.Call<api::Operation>("AppService/CreateApp", NewApp("web"));
  REQUIRE(created.ok());
  agent.Run();
  stage.entry.now.wall += kYear;
  stage.entry.Advance(absl::Seconds(5));
  agent.Beat();
  CHECK_FALSE(GetOperation(stage.entry, created->name())->done());
  SECTION("it fails when there was no progress for ten real minutes") {
    for (int i = 0; i < 121; ++i) {
      stage.entry.Advance(absl::Seconds(5));
      agent.Beat();
    }
    const auto operation = GetOperation(stage.entry, created->name());
    CHECK(operation->done());
    CHECK(operation->has_error());
  }
}

TEST_CASE("clock: a lease does not end because the clock was set") {
  Stage stage;
  PlayedAgent agent(stage.entry, "n1");
  stage.entry.now.wall += GENERATE(1, -1) * kYear;
  stage.entry.Advance(absl::Seconds(3));
  agent.Beat();
  CHECK(stage.entry.catalog().nodes.Find("nodes/n1")->node().status().state() ==
        api::NODE_STATE_READY);
}

}  // namespace
}  // namespace appsup::entry
