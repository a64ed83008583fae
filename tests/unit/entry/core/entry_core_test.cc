#include "entry/core/entry_core.h"

#include <catch2/catch.hpp>

#include "appsupervisor/v1/event_service.pb.h"
#include "appsupervisor/v1/project_service.pb.h"
#include "common/status.h"
#include "entry/core/method_table.h"
#include "tests/support/core_harness.h"
#include "tests/support/core_requests.h"

namespace appsup::entry {
namespace {

constexpr char kId[] = "0b6e8a52-52e7-4f9b-9d1c-0e9d3f6a7c11";

api::GetAppRequest Get(const std::string& id) {
  api::GetAppRequest request;
  request.set_name("projects/default/apps/" + id);
  return request;
}

TEST_CASE("entry core: nothing is shown before it is durable, reads included") {
  CoreHarness entry;
  entry.HoldCommits(true);
  const CallId create = entry.Send("AppService/CreateApp", NewApp("web"));
  const CallId get = entry.Send("AppService/GetApp", Get("web"));
  const CallId missing = entry.Send("AppService/GetApp", Get("nope"));
  const CallId second = entry.Send("AppService/CreateApp", NewApp("two"));
  CHECK_FALSE(entry.TakeReply(create).has_value());
  CHECK_FALSE(entry.TakeReply(get).has_value());
  CHECK_FALSE(entry.TakeReply(missing).has_value());
  CHECK_FALSE(entry.TakeReply(second).has_value());
  entry.HoldCommits(false);
  CHECK(entry.TakeReply(create)->ok());
  CHECK(entry.TakeReply(get)->ok());
  CHECK(absl::IsNotFound(entry.TakeReply(missing)->status()));
  CHECK(entry.TakeReply(second)->ok());
}

TEST_CASE("entry core: of two creates of one id under way at once, one wins") {
  CoreHarness entry;
  entry.HoldCommits(true);
  const CallId first = entry.Send("AppService/CreateApp", NewApp("web"));
  const CallId second = entry.Send("AppService/CreateApp", NewApp("web"));
  api::CreateAppRequest request = NewApp("crm");
  request.set_request_id(kId);
  const CallId third = entry.Send("AppService/CreateApp", request);
  const CallId repeat = entry.Send("AppService/CreateApp", request);
  entry.HoldCommits(false);
  CHECK(entry.TakeReply(first)->ok());
  CHECK(absl::IsAlreadyExists(entry.TakeReply(second)->status()));
  const auto done = entry.TakeReply(third);
  const auto again = entry.TakeReply(repeat);
  REQUIRE(done->ok());
  REQUIRE(again->ok());
  CHECK(static_cast<const api::Operation&>(***done).name() ==
        static_cast<const api::Operation&>(***again).name());
}

TEST_CASE("entry core: a failed commit answers every open call UNAVAILABLE") {
  CoreHarness entry;
  auto done = entry.Call<api::Operation>("AppService/CreateApp", NewApp("old"));
  REQUIRE(done.ok());
  api::WaitOperationRequest wait;
  wait.set_name(done->name());
  const CallId waiting = entry.Send("OperationService/WaitOperation", wait);
  const CallId watch = entry.Send("EventService/WatchEvents", api::WatchEventsRequest());
  entry.HoldCommits(true);
  const CallId create = entry.Send("AppService/CreateApp", NewApp("web"));
  entry.FailCommit();
  CHECK(absl::IsUnavailable(entry.TakeReply(create)->status()));
  CHECK(absl::IsUnavailable(entry.TakeReply(waiting)->status()));
  CHECK(absl::IsUnavailable(*entry.Stream(watch).end));
  auto late = entry.Call<api::App>("AppService/GetApp", Get("old"));
  CHECK(absl::IsUnavailable(late.status()));
  CHECK(ErrorReason(late.status()) == "ENTRY_RESTARTING");
  entry.Restart();
  CHECK(entry.Call<api::App>("AppService/GetApp", Get("old")).ok());
  CHECK(absl::IsNotFound(entry.Call<api::App>("AppService/GetApp", Get("web")).status()));
}

TEST_CASE("entry core: a repeated request_id gives the first result, also after a restart") {
  CoreHarness entry;
  api::CreateAppRequest request = NewApp("web");
  request.set_request_id(kId);
  auto first = entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(first.ok());
  auto again = entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(again.ok());
  CHECK(again->name() == first->name());
  entry.Restart();
  again = entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(again.ok());
  CHECK(again->name() == first->name());
  request.mutable_app()->set_display_name("Other");
  auto other = entry.Call<api::Operation>("AppService/CreateApp", request);
  CHECK(absl::IsInvalidArgument(other.status()));
  CHECK(ErrorReason(other.status()) == "REQUEST_ID_REUSED");
  CHECK(entry.catalog().apps.rows().size() == 1);
}

TEST_CASE("entry core: a repeated request_id shows the operation as it is now") {
  CoreHarness entry;
  api::CreateAppRequest request = NewApp("web");
  request.set_request_id(kId);
  auto first = entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(first.ok());
  CHECK_FALSE(first->done());
  REQUIRE(Verb<api::StopAppRequest>(entry, "StopApp", "web").ok());
  auto again = entry.Call<api::Operation>("AppService/CreateApp", request);
  REQUIRE(again.ok());
  CHECK(again->done());
}

TEST_CASE("entry core: a refused call leaves its request_id free, and bad ids are refused") {
  CoreHarness entry;
  api::CreateAppRequest request = NewApp("web");
  request.set_request_id("not-a-uuid");
  CHECK(FieldsOf(entry.Call<api::Operation>("AppService/CreateApp", request).status()) ==
        std::vector<std::string>{"request_id"});
  request.set_request_id(kId);
  request.set_parent("projects/shop");
  CHECK(absl::IsNotFound(entry.Call<api::Operation>("AppService/CreateApp", request).status()));
  api::CreateProjectRequest project;
  project.set_project_id("shop");
  REQUIRE(entry.Call<api::Project>("ProjectService/CreateProject", project).ok());
  CHECK(entry.Call<api::Operation>("AppService/CreateApp", request).ok());
}

TEST_CASE("entry core: request ids are forgotten after a day") {
  CoreHarness entry;
  api::CreateProjectRequest request;
  request.set_project_id("shop");
  request.set_request_id(kId);
  REQUIRE(entry.Call<api::Project>("ProjectService/CreateProject", request).ok());
  REQUIRE(entry.catalog().requests.rows().size() == 1);
  entry.Advance(absl::Hours(23));
  CHECK(entry.Call<api::Project>("ProjectService/CreateProject", request).ok());
  entry.Advance(absl::Hours(2));
  CHECK(entry.catalog().requests.rows().empty());
  CHECK(absl::IsAlreadyExists(
      entry.Call<api::Project>("ProjectService/CreateProject", request).status()));
}

TEST_CASE("entry core: each start adds a timeline; the catalog keeps its identity") {
  CoreHarness entry;
  const std::string uid = entry.catalog().meta.Find("catalog")->catalog_uid();
  CHECK(uid.size() == 36);
  REQUIRE(entry.catalog().projects.Find("projects/default") != nullptr);
  const std::string project = entry.catalog().projects.Find("projects/default")->project().uid();
  const int64_t head = entry.catalog().last_index();
  entry.Restart();
  const rec::CatalogRecord& meta = *entry.catalog().meta.Find("catalog");
  CHECK(meta.catalog_uid() == uid);
  REQUIRE(meta.timelines_size() == 2);
  CHECK(meta.timelines(0).first_index() == 1);
  CHECK(meta.timelines(1).first_index() == head + 1);
  CHECK(entry.catalog().projects.Find("projects/default")->project().uid() == project);
}

TEST_CASE("entry core: a row that cannot be read stops the start and is named") {
  CatalogRows rows;
  rows.rows.push_back({"app", "projects/default/apps/web", "\xff\xff"});
  auto core = EntryCore::Create({}, rows, 1, "t", Moment{absl::UnixEpoch(), absl::Hours(1)});
  REQUIRE_FALSE(core.ok());
  CHECK(core.status().code() == absl::StatusCode::kDataLoss);
  CHECK(core.status().message().find("projects/default/apps/web") != absl::string_view::npos);
}

TEST_CASE("entry core: the change log is trimmed by age, in memory and in the store") {
  CoreHarness entry;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("old")).ok());
  entry.Advance(absl::Hours(6 * 24));
  CHECK(entry.catalog().meta.Find("catalog")->oldest_index() == 0);
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("new")).ok());
  entry.Advance(absl::Hours(25));
  const int64_t oldest = entry.catalog().meta.Find("catalog")->oldest_index();
  CHECK(oldest > 1);
  const CoreHarness::Backup store = entry.TakeBackup();
  REQUIRE_FALSE(store.log.empty());
  CHECK(store.log.front().index >= oldest);
  api::Event first;
  REQUIRE(first.ParseFromString(store.log.front().event));
  CHECK(IdOf(first.name()) == "new");
}

TEST_CASE("entry core: an unknown method is UNIMPLEMENTED") {
  CoreHarness entry;
  auto reply = entry.Call<api::App>("AppService/EatApp", Get("web"));
  CHECK(reply.status().code() == absl::StatusCode::kUnimplemented);
}

TEST_CASE("entry core: indices follow one another and rows are only written if they changed") {
  CoreHarness entry;
  REQUIRE(entry.Call<api::Operation>("AppService/CreateApp", NewApp("web")).ok());
  int64_t next = 1;
  for (const Transaction& transaction : entry.commits()) {
    CHECK(transaction.first_index == next);
    CHECK(transaction.last_index >= transaction.first_index);
    next = transaction.last_index + 1;
  }
  const size_t commits = entry.commits().size();
  REQUIRE(entry.Call<api::App>("AppService/GetApp", Get("web")).ok());
  entry.Flush();
  CHECK(entry.commits().size() == commits);
}

TEST_CASE("entry core: every method of the API has a handler") {
  MethodTable table;
  AddAppMethods(table);
  AddInstanceMethods(table);
  AddEnvironmentMethods(table);
  AddNodeMethods(table);
  AddProjectMethods(table);
  AddOperationMethods(table);
  AddEventMethods(table);
  AddEnrollMethods(table);
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const char* name : {"AppService", "EnvironmentService", "NodeService", "ProjectService",
                           "OperationService", "EventService"}) {
    const auto* service = pool->FindServiceByName("appsupervisor.v1." + std::string(name));
    REQUIRE(service != nullptr);
    for (int at = 0; at < service->method_count(); ++at) {
      const auto* method = service->method(at);
      const std::string full = service->full_name() + "/" + method->name();
      INFO(full);
      CHECK(table.Find(full) != nullptr);
      CHECK(table.Streams(full) == method->server_streaming());
    }
  }
}

}  // namespace
}  // namespace appsup::entry
