// The agent's end of the link against an entry that does what the test says.
#include "agent/link/link_client.h"

#include <catch2/catch.hpp>

#include "tests/integration/link/scripted_entry.h"
#include "tests/support/wait.h"

namespace appsup::testing {
namespace {

namespace v1 = ::appsupervisor::v1;

// A link client whose events are kept.
class Stage {
 public:
  ~Stage() {
    if (client != nullptr) client->Stop();
  }

  std::unique_ptr<ScriptedEntry> NewEntry(const std::string& address = "127.0.0.1:0") {
    return std::make_unique<ScriptedEntry>(node_, address);
  }

  void StartClient(const std::string& entry, agent::LinkOptions options = {}) {
    options.entry = entry;
    options.identity_dir = node_.identity_dir();
    client = std::make_unique<agent::LinkClient>(options, clock_, random_,
                                                 [this](agent::LinkEvent event) {
                                                   MutexLock lock(&mutex_);
                                                   events_.push_back(std::move(event));
                                                 });
    client->Start();
  }

  template <class Kind>
  int Count() {
    MutexLock lock(&mutex_);
    int count = 0;
    for (const agent::LinkEvent& event : events_) count += std::holds_alternative<Kind>(event);
    return count;
  }
  uint64_t LastConnection() {
    MutexLock lock(&mutex_);
    uint64_t connection = 0;
    for (const agent::LinkEvent& event : events_) {
      if (const auto* up = std::get_if<agent::LinkUp>(&event)) connection = up->connection;
    }
    return connection;
  }
  void ForgetEvents() {
    std::vector<agent::LinkEvent> events;
    MutexLock lock(&mutex_);
    events.swap(events_);
  }

  std::unique_ptr<agent::LinkClient> client;

 private:
  ScriptedNode node_;
  SystemClock clock_;
  SystemRandom random_;
  Mutex mutex_;
  std::vector<agent::LinkEvent> events_ ABSL_GUARDED_BY(mutex_);
};

std::shared_ptr<const v1::ConnectRequest> Heartbeat(int64_t number) {
  auto message = std::make_shared<v1::ConnectRequest>();
  message->mutable_heartbeat()->set_number(number);
  return message;
}

TEST_CASE("link client: goes where a goodbye sends it, and home after that") {
  Stage stage;
  auto home = stage.NewEntry();
  auto other = stage.NewEntry();
  stage.StartClient(home->address());
  REQUIRE(WaitFor([&] { return home->streams() == 1; }));
  v1::Goodbye goodbye;
  goodbye.set_go_to(other->address());
  home->SayGoodbye(goodbye);
  REQUIRE(WaitFor([&] { return other->streams() == 1; }));
  CHECK(home->streams() == 1);
  other->SayGoodbye({});
  CHECK(WaitFor([&] { return home->streams() == 2; }));
  CHECK(other->streams() == 1);
}

TEST_CASE("link client: does not come back earlier than a goodbye allows") {
  Stage stage;
  auto entry = stage.NewEntry();
  stage.StartClient(entry->address());
  REQUIRE(WaitFor([&] { return entry->streams() == 1; }));
  v1::Goodbye goodbye;
  goodbye.mutable_retry_after()->set_nanos(900'000'000);
  const absl::Time start = absl::Now();
  entry->SayGoodbye(goodbye);
  REQUIRE(WaitFor([&] { return entry->streams() == 2; }));
  CHECK(absl::Now() - start >= absl::Milliseconds(890));
}

TEST_CASE("link client: tries again a while after a final goodbye, for the catalog may be mended") {
  Stage stage;
  auto entry = stage.NewEntry();
  agent::LinkOptions options;
  options.identity_check_period = absl::Milliseconds(50);
  options.final_retry_period = absl::Milliseconds(300);
  stage.StartClient(entry->address(), options);
  REQUIRE(WaitFor([&] { return entry->streams() == 1; }));
  v1::Goodbye goodbye;
  goodbye.set_final(true);
  const absl::Time start = absl::Now();
  entry->SayGoodbye(goodbye);
  REQUIRE(WaitFor([&] { return entry->streams() == 2; }));
  CHECK(absl::Now() - start >= absl::Milliseconds(290));
}

TEST_CASE("link client: connects as soon as there is an entry") {
  Stage stage;
  auto first = stage.NewEntry();
  const std::string address = first->address();
  first.reset();
  stage.StartClient(address);
  auto second = stage.NewEntry(address);
  CHECK(WaitFor([&] { return stage.Count<agent::LinkUp>() == 1; }));
  CHECK(stage.Count<agent::LinkDown>() == 0);
}

TEST_CASE("link client: a closed connection is told and replaced, its number never comes back") {
  Stage stage;
  auto entry = stage.NewEntry();
  stage.StartClient(entry->address());
  REQUIRE(WaitFor([&] { return stage.Count<agent::LinkUp>() == 1; }));
  const uint64_t first = stage.LastConnection();
  stage.client->Close(first + 7, "not this one");
  stage.client->Close(first, "a test");
  REQUIRE(WaitFor([&] { return stage.Count<agent::LinkUp>() == 2; }));
  CHECK(stage.Count<agent::LinkDown>() == 1);
  CHECK(stage.LastConnection() > first);
  stage.client->Send(first, Heartbeat(1));  // Dropped: that connection is over.
  stage.client->Send(stage.LastConnection(), Heartbeat(2));
  REQUIRE(WaitFor([&] { return stage.Count<agent::LinkWritable>() == 1; }));
  CHECK(WaitFor([&] { return entry->received() == 1; }));
}

TEST_CASE("link client: what the agent has not handled yet is bounded, and nothing is lost") {
  Stage stage;
  auto entry = stage.NewEntry();
  stage.StartClient(entry->address());
  REQUIRE(WaitFor([&] { return entry->streams() == 1; }));
  v1::ConnectResponse large;
  large.set_timeline(std::string(256 << 10, 'x'));
  entry->Flood(large);
  int before = -1;
  int still = 0;
  REQUIRE(WaitFor([&] {
    const int now = entry->written();
    still = now == before ? still + 1 : 0;
    before = now;
    return now > 0 && still > 50;
  }));
  CHECK(stage.Count<agent::LinkMessage>() == 16);
  stage.ForgetEvents();
  CHECK(WaitFor([&] { return stage.Count<agent::LinkMessage>() == 16; }));
  // The end is found although no message is let go of.
  stage.client->Close(1, "a test");
  CHECK(WaitFor([&] { return stage.Count<agent::LinkDown>() == 1; }));
}

}  // namespace
}  // namespace appsup::testing
