#include <catch2/catch.hpp>

#include "appsupervisor/v1/environment_service.pb.h"
#include "appsupervisor/v1/event_service.pb.h"
#include "common/status.h"
#include "google/rpc/error_details.pb.h"
#include "tests/support/core_requests.h"

namespace appsup::entry {
namespace {

// "CREATED App web".
std::string Line(const api::Event& event) {
  std::string type = api::EventType_Name(event.type()).substr(std::string("EVENT_TYPE_").size());
  if (event.kind().empty()) return type;
  return type + " " + event.kind() + " " + IdOf(event.name());
}

// Takes what the stream has.
std::vector<api::Event> Take(CoreHarness& entry, CallId call) {
  std::vector<api::Event> events;
  for (const auto& message : entry.Stream(call).messages) {
    events.push_back(static_cast<const api::Event&>(*message));
  }
  entry.Stream(call).messages.clear();
  return events;
}

std::vector<std::string> Lines(const std::vector<api::Event>& events) {
  std::vector<std::string> lines;
  for (const api::Event& event : events) lines.push_back(Line(event));
  return lines;
}

void Create(CoreHarness& entry, const std::string& id, const std::string& tier = "") {
  api::CreateAppRequest request = NewApp(id);
  if (!tier.empty()) (*request.mutable_app()->mutable_labels())["tier"] = tier;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", request).ok());
}

void SetTier(CoreHarness& entry, const std::string& id, const std::string& tier) {
  api::UpdateAppRequest update;
  update.mutable_app()->set_name("projects/default/apps/" + id);
  (*update.mutable_app()->mutable_labels())["tier"] = tier;
  REQUIRE(entry.Call<api::Operation>("AppService/UpdateApp", update).ok());
}

api::WatchEventsRequest WatchApps(const std::string& filter = "", const std::string& token = "") {
  api::WatchEventsRequest request;
  request.add_kinds("App");
  request.set_filter(filter);
  request.set_resume_token(token);
  return request;
}

constexpr char kWatch[] = "EventService/WatchEvents";

TEST_CASE("watch: the present state, then every change, with who made it") {
  CoreHarness entry;
  Create(entry, "old");
  const CallId call = entry.Send(kWatch, WatchApps());
  auto events = Take(entry, call);
  CHECK(Lines(events) == std::vector<std::string>{"SNAPSHOT App old", "SNAPSHOT_END"});
  CHECK(events[0].resume_token().empty());
  CHECK_FALSE(events[1].resume_token().empty());
  Create(entry, "new");
  SetTier(entry, "new", "gold");
  events = Take(entry, call);
  CHECK(Lines(events) == std::vector<std::string>{"CREATED App new", "UPDATED App new"});
  CHECK(events[1].actor() == "token:admin");
  CHECK(events[1].log_index() > events[0].log_index());
  api::App app;
  REQUIRE(events[1].resource().UnpackTo(&app));
  CHECK(app.labels().at("tier") == "gold");
}

TEST_CASE("watch: kinds and parent choose what is seen") {
  CoreHarness entry;
  api::WatchEventsRequest request;
  request.set_parent("projects/default");
  request.add_kinds("Operation");
  const CallId call = entry.Send(kWatch, request);
  CHECK(Lines(Take(entry, call)) == std::vector<std::string>{"SNAPSHOT_END"});
  Create(entry, "web");
  entry.AddEnvironment("eu");
  auto events = Take(entry, call);
  REQUIRE_FALSE(events.empty());
  for (const api::Event& event : events) CHECK(event.kind() == "Operation");
  request.add_kinds("Banana");
  request.set_filter("(");
  const CallId wrong = entry.Send(kWatch, request);
  CHECK(FieldsOf(*entry.Stream(wrong).end) == std::vector<std::string>{"kinds[1]", "filter"});
}

TEST_CASE("watch: a token resumes after its event, also across a restart") {
  CoreHarness entry;
  Create(entry, "a");
  CallId call = entry.Send(kWatch, WatchApps());
  const std::string token = Take(entry, call).back().resume_token();
  entry.Cancel(call);
  Create(entry, "b");
  entry.Restart();
  Create(entry, "c");
  call = entry.Send(kWatch, WatchApps("", token));
  auto events = Take(entry, call);
  CHECK(Lines(events) == std::vector<std::string>{"CREATED App b", "CREATED App c"});
  call = entry.Send(kWatch, WatchApps("", events[0].resume_token()));
  CHECK(Lines(Take(entry, call)) == std::vector<std::string>{"CREATED App c"});
}

TEST_CASE("watch: what left the memory is read from the store, without a gap") {
  CoreOptions options;
  options.change_feed_in_memory = 4;
  CoreHarness entry(options);
  CallId call = entry.Send(kWatch, WatchApps());
  const std::string token = Take(entry, call).back().resume_token();
  entry.Cancel(call);
  std::vector<std::string> expected;
  for (int at = 0; at < 300; ++at) {
    Create(entry, "app" + std::to_string(at));
    expected.push_back("CREATED App app" + std::to_string(at));
  }
  call = entry.Send(kWatch, WatchApps("", token));
  CHECK(Lines(Take(entry, call)) == expected);
  Create(entry, "last");
  CHECK(Lines(Take(entry, call)) == std::vector<std::string>{"CREATED App last"});
}

TEST_CASE("watch: a slow reader has one message under way and loses nothing") {
  CoreHarness entry;
  entry.HoldStreams(true);
  const CallId call = entry.Send(kWatch, WatchApps());
  entry.StreamWritten(call);
  Take(entry, call);
  for (int at = 0; at < 10; ++at) Create(entry, "app" + std::to_string(at));
  CHECK(entry.Stream(call).messages.size() == 1);
  for (int at = 0; at < 9; ++at) entry.StreamWritten(call);
  CHECK(entry.Stream(call).messages.size() == 10);
}

TEST_CASE("watch: nothing is sent before it is durable") {
  CoreHarness entry;
  const CallId call = entry.Send(kWatch, WatchApps());
  Take(entry, call);
  entry.HoldCommits(true);
  entry.Send("AppService/CreateApp", NewApp("web"));
  CHECK(Take(entry, call).empty());
  const CallId late = entry.Send(kWatch, WatchApps());
  CHECK(Take(entry, late).empty());
  entry.HoldCommits(false);
  CHECK(Lines(Take(entry, call)) == std::vector<std::string>{"CREATED App web"});
  CHECK(Lines(Take(entry, late)) == std::vector<std::string>{"SNAPSHOT App web", "SNAPSHOT_END"});
}

TEST_CASE("watch: what changes during a snapshot is told once, and never taken back") {
  CoreHarness entry;
  for (const char* id : {"a", "b", "c"}) Create(entry, id);
  entry.HoldStreams(true);
  const CallId call = entry.Send(kWatch, WatchApps());
  SetTier(entry, "a", "gold");    // Already sent: comes as a change.
  SetTier(entry, "c", "silver");  // Not yet sent: is in the snapshot.
  Create(entry, "d");
  entry.HoldStreams(false);
  entry.StreamWritten(call);
  auto events = Take(entry, call);
  CHECK(Lines(events) == std::vector<std::string>{"SNAPSHOT App a", "SNAPSHOT App b",
                                                  "SNAPSHOT App c", "SNAPSHOT App d",
                                                  "SNAPSHOT_END", "UPDATED App a"});
  api::App app;
  REQUIRE(events[2].resource().UnpackTo(&app));
  CHECK(app.labels().at("tier") == "silver");
  SetTier(entry, "c", "lead");
  CHECK(Lines(Take(entry, call)) == std::vector<std::string>{"UPDATED App c"});
}

TEST_CASE("watch: a filter shows what matches, and says once what left") {
  CoreHarness entry;
  Create(entry, "gold", "gold");
  Create(entry, "tin", "tin");
  const CallId call = entry.Send(kWatch, WatchApps("labels.tier = gold"));
  const auto snapshot = Take(entry, call);
  CHECK(Lines(snapshot) == std::vector<std::string>{"SNAPSHOT App gold", "SNAPSHOT_END"});
  SetTier(entry, "gold", "tin");
  SetTier(entry, "gold", "lead");
  SetTier(entry, "tin", "gold");
  Create(entry, "other", "tin");
  CHECK(Lines(Take(entry, call)) == std::vector<std::string>{"LEFT App gold", "UPDATED App tin"});
  // Resumed: what it was told before is not known, so what does not match is said to have left.
  const CallId resumed =
      entry.Send(kWatch, WatchApps("labels.tier = gold", snapshot.back().resume_token()));
  CHECK(Lines(Take(entry, resumed)) ==
        std::vector<std::string>{"LEFT App gold", "UPDATED App tin"});
  api::DeleteAppRequest remove;
  remove.set_purge(true);
  for (const char* id : {"gold", "tin"}) {
    remove.set_name("projects/default/apps/" + std::string(id));
    REQUIRE(entry.Call<api::Operation>("AppService/DeleteApp", remove).ok());
  }
  const auto lines = Lines(Take(entry, call));
  REQUIRE_FALSE(lines.empty());
  CHECK(lines.back() == "DELETED App tin");
  for (const std::string& line : lines) CHECK(line.find("App gold") == std::string::npos);
}

TEST_CASE("watch: a filter leaves out kinds that lack its fields, and must fit one") {
  CoreHarness entry;
  Create(entry, "web", "gold");
  api::WatchEventsRequest request;
  request.set_filter("labels.tier = gold");
  const CallId call = entry.Send(kWatch, request);
  CHECK(Lines(Take(entry, call)) == std::vector<std::string>{"SNAPSHOT App web", "SNAPSHOT_END"});
  const CallId wrong = entry.Send(kWatch, WatchApps("nonsense = 1"));
  CHECK(FieldsOf(*entry.Stream(wrong).end) == std::vector<std::string>{"filter"});
}

TEST_CASE("watch: an idle watcher gets a bookmark whose token goes on") {
  CoreHarness entry;
  const CallId call = entry.Send(kWatch, WatchApps());
  Take(entry, call);
  entry.AddEnvironment("eu");
  entry.Advance(absl::Seconds(31));
  const auto events = Take(entry, call);
  REQUIRE(Lines(events) == std::vector<std::string>{"BOOKMARK"});
  CHECK(events[0].log_index() == entry.catalog().last_index());
  const CallId resumed = entry.Send(kWatch, WatchApps("", events[0].resume_token()));
  Create(entry, "web");
  CHECK(Lines(Take(entry, resumed)) == std::vector<std::string>{"CREATED App web"});
}

TEST_CASE("watch: tokens of trimmed changes and of other histories are OUT_OF_RANGE") {
  CoreOptions options;
  options.max_change_log_entries = 10;
  options.change_feed_in_memory = 2;
  CoreHarness entry(options);
  CallId call = entry.Send(kWatch, WatchApps());
  const std::string token = Take(entry, call).back().resume_token();
  entry.Cancel(call);
  for (int at = 0; at < 30; ++at) Create(entry, "app" + std::to_string(at));
  entry.Advance(absl::Minutes(2));
  call = entry.Send(kWatch, WatchApps("", token));
  REQUIRE(entry.Stream(call).end.has_value());
  const absl::Status status = *entry.Stream(call).end;
  CHECK(status.code() == absl::StatusCode::kOutOfRange);
  const std::string oldest = GetErrorInfo(status)->metadata().at("oldest_resume_token");
  call = entry.Send(kWatch, WatchApps("", oldest));
  CHECK_FALSE(entry.Stream(call).end.has_value());
  call = entry.Send(kWatch, WatchApps("", "bm9uc2Vuc2U"));
  CHECK(entry.Stream(call).end->code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("watch: a token of a history that a restore took back is OUT_OF_RANGE") {
  CoreHarness entry;
  Create(entry, "a");
  const CoreHarness::Backup backup = entry.TakeBackup();
  Create(entry, "b");
  CallId call = entry.Send(kWatch, WatchApps());
  const std::string lost = Take(entry, call).back().resume_token();
  entry.Restore(backup);
  for (const char* id : {"c", "d", "e"}) Create(entry, id);
  call = entry.Send(kWatch, WatchApps("", lost));
  REQUIRE(entry.Stream(call).end.has_value());
  CHECK(entry.Stream(call).end->code() == absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace appsup::entry
