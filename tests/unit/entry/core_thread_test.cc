#include "entry/core_thread.h"

#include <atomic>
#include <catch2/catch.hpp>

#include "appsupervisor/v1/environment_service.pb.h"
#include "common/status.h"
#include "entry/api/call_table.h"
#include "entry/api/core_call.h"
#include "tests/support/wait.h"

namespace appsup::entry {
namespace {

namespace v1 = ::appsupervisor::v1;

// A catalog in memory whose commits fail when told to. Shared, so that a test can look at it while
// the store thread uses it.
struct Disk {
  Mutex mutex;
  std::map<std::pair<std::string, std::string>, std::string> rows ABSL_GUARDED_BY(mutex);
  int64_t last_index ABSL_GUARDED_BY(mutex) = 0;
  int64_t epoch ABSL_GUARDED_BY(mutex) = 0;
  int leads ABSL_GUARDED_BY(mutex) = 0;
  absl::Status next_commit ABSL_GUARDED_BY(mutex);  // Not OK: the next commit fails so, once.
  absl::Status lead ABSL_GUARDED_BY(mutex);

  int Leads() {
    MutexLock lock(&mutex);
    return leads;
  }
  void FailNextCommit(absl::Status status) {
    MutexLock lock(&mutex);
    next_commit = std::move(status);
  }
  void SetLead(absl::Status status) {
    MutexLock lock(&mutex);
    lead = std::move(status);
  }
};

class FakeStore : public Store {
 public:
  explicit FakeStore(Disk& disk) : disk_(disk) {}

  absl::StatusOr<Leadership> Lead(const std::string&) override {
    MutexLock lock(&disk_.mutex);
    ++disk_.leads;
    if (!disk_.lead.ok()) return disk_.lead;
    Leadership leadership;
    leadership.epoch = ++disk_.epoch;
    leadership.rows.last_index = disk_.last_index;
    for (const auto& [key, value] : disk_.rows) {
      leadership.rows.rows.push_back({key.first, key.second, value});
    }
    return leadership;
  }

  absl::Status Commit(const std::vector<Transaction>& transactions) override {
    MutexLock lock(&disk_.mutex);
    if (!disk_.next_commit.ok()) return std::exchange(disk_.next_commit, absl::OkStatus());
    for (const Transaction& transaction : transactions) {
      for (const RowChange& row : transaction.rows) {
        if (row.value.has_value()) {
          disk_.rows[{row.table, row.key}] = *row.value;
        } else {
          disk_.rows.erase({row.table, row.key});
        }
      }
      disk_.last_index = transaction.last_index;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<ChangeEntry>> ReadChanges(int64_t, int) override {
    return std::vector<ChangeEntry>();
  }

 private:
  Disk& disk_;
};

// A core thread with nothing around it but a table of calls.
class Stage {
 public:
  Stage() : core(CoreOptions(), clock, random, metrics) {}
  ~Stage() { core.Stop(); }

  void Start() {
    CoreThread::Shell shell;
    shell.reply = [this](const Reply& reply) { calls.Perform(reply); };
    shell.stream_message = [this](const StreamMessage& message) { calls.Perform(message); };
    shell.stream_end = [this](const StreamEnd& end) { calls.Perform(end); };
    shell.send_to_agent = [](const SendToAgent&) {};
    shell.close_agent = [this](const CloseAgent&) { ++closed_agents; };
    shell.leading = [this] { ++leading; };
    shell.gone = [this](const absl::Status& why) {
      ++gone;
      calls.FailAll(why);
    };
    shell.fatal = [this](const absl::Status&) { ++fatal; };
    REQUIRE(core.Start(std::make_unique<FakeStore>(disk), "test", shell).ok());
  }

  absl::Status CreateEnvironment(const std::string& id) {
    struct Waiting : PendingCall {
      void OnReply(const absl::StatusOr<MessagePtr>& response) override {
        status = response.status();
        done = true;
      }
      absl::Status status;
      std::atomic<bool> done{false};
    };
    auto waiting = std::make_shared<Waiting>();
    auto request = std::make_shared<v1::CreateEnvironmentRequest>();
    request->set_environment_id(id);
    Principal principal;
    principal.name = "test";
    PostToCore({core, calls, random}, "appsupervisor.v1.EnvironmentService/CreateEnvironment",
               request, principal, waiting);
    REQUIRE(testing::WaitFor([&] { return waiting->done.load(); }));
    return waiting->status;
  }

  Disk disk;
  SystemClock clock;
  SystemRandom random;
  Metrics metrics;
  CallTable calls;
  std::atomic<int> leading{0}, gone{0}, fatal{0}, closed_agents{0};
  CoreThread core;
};

TEST_CASE("core thread: a call is answered when its change is in the store") {
  Stage stage;
  stage.Start();
  REQUIRE(testing::WaitFor([&] { return stage.leading == 1; }));
  REQUIRE(stage.CreateEnvironment("eu").ok());
  MutexLock lock(&stage.disk.mutex);
  CHECK(stage.disk.rows.count({"environment", "environments/eu"}) == 1);
}

TEST_CASE("core thread: after a failed commit nothing of it is seen, and the core is built anew") {
  Stage stage;
  stage.Start();
  REQUIRE(testing::WaitFor([&] { return stage.leading == 1; }));
  REQUIRE(stage.CreateEnvironment("eu").ok());
  stage.disk.FailNextCommit(absl::UnavailableError("the database is gone"));
  CHECK(absl::IsUnavailable(stage.CreateEnvironment("us")));
  REQUIRE(testing::WaitFor([&] { return stage.leading == 2; }));
  CHECK(stage.gone == 1);
  CHECK(absl::IsAlreadyExists(stage.CreateEnvironment("eu")));
  CHECK(stage.CreateEnvironment("us").ok());
  CHECK(stage.fatal == 0);
}

TEST_CASE("core thread: without a catalog calls are UNAVAILABLE and agents are sent away") {
  Stage stage;
  stage.disk.SetLead(absl::UnavailableError("another entry leads"));
  stage.Start();
  CHECK(ErrorReason(stage.CreateEnvironment("eu")) == "NOT_LEADING");
  CHECK(testing::WaitFor([&] {
    return stage.CreateEnvironment("eu").ToString().find("another entry leads") !=
           std::string::npos;
  }));
  stage.core.Post(AgentConnected{});
  CHECK(testing::WaitFor([&] { return stage.closed_agents == 1; }));
  CHECK(testing::WaitFor([&] { return stage.disk.Leads() >= 2; }));
  stage.disk.SetLead(absl::OkStatus());
  CHECK(testing::WaitFor([&] { return stage.leading == 1; }));
  CHECK(stage.CreateEnvironment("eu").ok());
}

TEST_CASE("core thread: a disk that lost data, or a newer schema, ends the process") {
  Stage lost;
  lost.Start();
  REQUIRE(testing::WaitFor([&] { return lost.leading == 1; }));
  lost.disk.FailNextCommit(absl::DataLossError("fsync failed"));
  CHECK(absl::IsUnavailable(lost.CreateEnvironment("eu")));
  CHECK(testing::WaitFor([&] { return lost.fatal == 1; }));
  CHECK(lost.disk.Leads() == 1);

  Stage newer;
  newer.disk.SetLead(absl::FailedPreconditionError("the schema is newer"));
  newer.Start();
  CHECK(testing::WaitFor([&] { return newer.fatal == 1; }));
}

TEST_CASE("core thread: what is posted after its end is answered too") {
  Stage stage;
  stage.Start();
  REQUIRE(testing::WaitFor([&] { return stage.leading == 1; }));
  stage.core.Stop();
  CHECK(absl::IsUnavailable(stage.CreateEnvironment("eu")));
}

TEST_CASE("core thread: one that never started lets go of all that is posted") {
  Stage stage;
  int handled = 0;
  auto post = [&](Event event) { stage.core.Post(std::move(event), [&handled] { ++handled; }); };
  post(AgentConnected{});
  post(ApiCall{});
  stage.core.Stop();
  CHECK(handled == 2);
  post(AgentConnected{});
  post(ApiCall{});
  bool looked = false;
  stage.core.Inspect([&](const EntryCore* core) { looked = core == nullptr; });
  CHECK(looked);
}

}  // namespace
}  // namespace appsup::entry
