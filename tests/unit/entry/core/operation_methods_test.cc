#include <catch2/catch.hpp>

#include "common/status.h"
#include "tests/support/core_requests.h"
#include "tests/support/played_agent.h"

namespace appsup::entry {
namespace {

api::Operation Create(CoreHarness& entry, const std::string& id) {
  auto operation = entry.Call<api::Operation>("AppService/CreateApp", NewApp(id));
  REQUIRE(operation.ok());
  return *operation;
}

TEST_CASE("operations: a wait is answered when the operation ends") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  PlayedAgent agent(entry, "n1");
  api::WaitOperationRequest wait;
  wait.set_name(Create(entry, "web").name());
  const CallId call = entry.Send("OperationService/WaitOperation", wait);
  CHECK_FALSE(entry.TakeReply(call).has_value());
  agent.Run();
  auto reply = entry.TakeReply(call);
  REQUIRE(reply.has_value());
  REQUIRE(reply->ok());
  const auto& operation = static_cast<const api::Operation&>(***reply);
  CHECK(operation.done());
  api::App app;
  REQUIRE(operation.response().UnpackTo(&app));
  CHECK(app.status().state() == api::APP_STATE_RUNNING);
  auto at_once = entry.Call<api::Operation>("OperationService/WaitOperation", wait);
  REQUIRE(at_once.ok());
  CHECK(at_once->done());
}

TEST_CASE("operations: a wait ends at its timeout with the operation as it is") {
  CoreHarness entry;
  api::WaitOperationRequest wait;
  wait.set_name(Create(entry, "web").name());
  wait.mutable_timeout()->set_seconds(5);
  const CallId call = entry.Send("OperationService/WaitOperation", wait);
  entry.Advance(absl::Seconds(4));
  CHECK_FALSE(entry.TakeReply(call).has_value());
  entry.Advance(absl::Seconds(2));
  auto reply = entry.TakeReply(call);
  REQUIRE(reply.has_value());
  CHECK_FALSE(static_cast<const api::Operation&>(***reply).done());
  wait.mutable_timeout()->set_seconds(4000);
  CHECK(FieldsOf(entry.Call<api::Operation>("OperationService/WaitOperation", wait).status()) ==
        std::vector<std::string>{"timeout"});
  wait.set_name("projects/default/operations/nope");
  wait.clear_timeout();
  CHECK(absl::IsNotFound(
      entry.Call<api::Operation>("OperationService/WaitOperation", wait).status()));
}

TEST_CASE("operations: a caller that went away is forgotten") {
  CoreHarness entry;
  api::WaitOperationRequest wait;
  wait.set_name(Create(entry, "web").name());
  const CallId call = entry.Send("OperationService/WaitOperation", wait);
  entry.Cancel(call);
  entry.Advance(absl::Minutes(2));
  CHECK_FALSE(entry.TakeReply(call).has_value());
}

TEST_CASE("operations: a watch shows the newest state, skips what a slow reader missed, and ends") {
  CoreHarness entry;
  entry.AddEnvironment("eu");
  entry.AddNode("n1", "eu");
  PlayedAgent agent(entry, "n1");
  api::WatchOperationRequest watch;
  watch.set_name(Create(entry, "web").name());
  entry.HoldStreams(true);
  const CallId call = entry.Send("OperationService/WatchOperation", watch);
  StreamLog& stream = entry.Stream(call);
  CHECK(stream.messages.size() == 1);
  agent.Run();
  CHECK(stream.messages.size() == 1);  // Not written yet.
  entry.StreamWritten(call);
  REQUIRE(stream.messages.size() == 2);
  CHECK(static_cast<const api::Operation&>(*stream.messages[1]).done());
  CHECK_FALSE(stream.end.has_value());
  entry.StreamWritten(call);
  CHECK(stream.messages.size() == 2);
  REQUIRE(stream.end.has_value());
  CHECK(stream.end->ok());
}

TEST_CASE("operations: cancel ends the wait and keeps the change") {
  CoreHarness entry;
  api::CancelOperationRequest cancel;
  cancel.set_name(Create(entry, "web").name());
  auto operation = entry.Call<api::Operation>("OperationService/CancelOperation", cancel);
  REQUIRE(operation.ok());
  CHECK(operation->done());
  CHECK(operation->error().code() == static_cast<int>(absl::StatusCode::kCancelled));
  CHECK(GetApp(entry, "web").ok());
  cancel.set_rollback(true);
  CHECK(ErrorReason(
            entry.Call<api::Operation>("OperationService/CancelOperation", cancel).status()) ==
        "OPERATION_DONE");
}

TEST_CASE("operations: cancel with rollback goes back to the revision before") {
  CoreHarness entry;
  Create(entry, "web");
  api::UpdateAppRequest update;
  update.mutable_app()->set_name("projects/default/apps/web");
  (*update.mutable_app()->mutable_spec()->mutable_env())["A"] = "1";
  auto changed = entry.Call<api::Operation>("AppService/UpdateApp", update);
  REQUIRE(changed.ok());
  api::CancelOperationRequest cancel;
  cancel.set_name(changed->name());
  cancel.set_rollback(true);
  auto operation = entry.Call<api::Operation>("OperationService/CancelOperation", cancel);
  REQUIRE(operation.ok());
  CHECK(operation->error().code() == static_cast<int>(absl::StatusCode::kCancelled));
  CHECK(GetApp(entry, "web")->spec().env().empty());
  auto successor = GetOperation(entry, operation->superseded_by());
  REQUIRE(successor.ok());
  CHECK(successor->kind() == "ROLLBACK");
  cancel.set_name(Verb<api::RestartAppRequest>(entry, "RestartApp", "web")->name());
  CHECK(ErrorReason(
            entry.Call<api::Operation>("OperationService/CancelOperation", cancel).status()) ==
        "CANNOT_ROLL_BACK");
}

TEST_CASE("operations: are listed newest first, page by page, filtered") {
  CoreHarness entry;
  for (int at = 0; at < 5; ++at) {
    Create(entry, "app" + std::to_string(at));
    entry.Advance(absl::Milliseconds(2));
  }
  REQUIRE(Verb<api::StopAppRequest>(entry, "StopApp", "app0").ok());
  api::ListOperationsRequest list;
  list.set_parent("projects/-");
  list.set_page_size(2);
  list.set_filter("kind = CREATE");
  std::vector<std::string> targets;
  do {
    auto page = entry.Call<api::ListOperationsResponse>("OperationService/ListOperations", list);
    REQUIRE(page.ok());
    for (const auto& operation : page->operations()) targets.push_back(IdOf(operation.target()));
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  CHECK(targets == std::vector<std::string>{"app4", "app3", "app2", "app1", "app0"});
}

TEST_CASE("operations: a cancel with rollback that is repeated undoes nothing again") {
  CoreHarness entry;
  Create(entry, "web");
  api::UpdateAppRequest update;
  update.mutable_app()->set_name("projects/default/apps/web");
  (*update.mutable_app()->mutable_spec()->mutable_env())["A"] = "1";
  auto changed = entry.Call<api::Operation>("AppService/UpdateApp", update);
  REQUIRE(changed.ok());
  api::CancelOperationRequest cancel;
  cancel.set_name(changed->name());
  cancel.set_rollback(true);
  cancel.set_request_id("0b6e8a52-52e7-4f9b-9d1c-0e9d3f6a7c11");
  auto first = entry.Call<api::Operation>("OperationService/CancelOperation", cancel);
  REQUIRE(first.ok());
  REQUIRE(entry.Call<api::Operation>("AppService/UpdateApp", update).ok());
  auto again = entry.Call<api::Operation>("OperationService/CancelOperation", cancel);
  REQUIRE(again.ok());
  CHECK(again->superseded_by() == first->superseded_by());
  CHECK(GetApp(entry, "web")->spec().env().size() == 1);
}

TEST_CASE("operations: finished ones are kept 7 days and at most so many") {
  CoreOptions options;
  options.max_operations_per_project = 3;
  CoreHarness entry(options);
  Create(entry, "web");
  for (int at = 0; at < 6; ++at) {
    entry.Advance(absl::Milliseconds(2));
    REQUIRE(Verb<api::StopAppRequest>(entry, "StopApp", "web").ok());
    entry.Advance(absl::Milliseconds(2));
    REQUIRE(Verb<api::StartAppRequest>(entry, "StartApp", "web").ok());
  }
  CHECK(entry.catalog().operations.rows().size() == 3);
  REQUIRE(Verb<api::StopAppRequest>(entry, "StopApp", "web").ok());
  entry.Advance(absl::Hours(8 * 24));
  CHECK(entry.catalog().operations.rows().size() <= 1);
}

}  // namespace
}  // namespace appsup::entry
